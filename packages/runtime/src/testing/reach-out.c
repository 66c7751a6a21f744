// reach-out PID SHM SOCKET: what a step may try against what is outside of it. PID: a process of root outside; SHM: the number
// of a segment of shared memory there; SOCKET: the name of an abstract socket there. Prints NAME=errno a line (0: it worked).
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

static void tell(const char *name, long result) { printf("%s=%d\n", name, result < 0 ? errno : 0); }
#define TRY(name, call) (errno = 0, tell(name, (long)(call)))

static long open_of(pid_t pid, const char *name) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d%s%s", pid, *name ? "/" : "", name);
  return open(path, O_RDONLY | O_CLOEXEC);
}

static long connect_abstract(const char *name) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  strncpy(address.sun_path + 1, name, sizeof address.sun_path - 2);
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  return connect(fd, (struct sockaddr *)&address, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name)));
}

static long signal_by_descriptor(pid_t pid) {
  int fd = (int)syscall(434, pid, 0);
  return fd < 0 ? fd : syscall(424, fd, 0, NULL, 0);
}

static long copy_memory(pid_t pid) {
  char byte;
  struct iovec local = {&byte, 1}, remote = {&byte, 1};
  return process_vm_readv(pid, &local, 1, &remote, 1, 0);
}

static long lower_priority(int which, id_t who) { return setpriority(which, who, 5); }

static long set_affinity(pid_t pid) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(0, &set);
  return sched_setaffinity(pid, sizeof set, &set);
}

static long limit(pid_t pid) {
  struct rlimit value = {1, 1};
  return prlimit(pid, RLIMIT_CORE, &value, NULL);
}

static long is_root(const char *path, int fd) {
  struct stat root, found;
  if (stat("/", &root) < 0 || (path ? fstatat(fd, path, &found, 0) : fstat(fd, &found)) < 0) return -1;
  errno = EXDEV;
  return root.st_dev == found.st_dev && root.st_ino == found.st_ino ? 0 : -1;
}

// What leads up from a directory below /proc stays in the root.
static void go_up(const char *name, const char *path, const char *up) {
  int fd = open(path, O_RDONLY | O_DIRECTORY);
  char label[64];
  snprintf(label, sizeof label, "up from %s", name);
  if (fd < 0) TRY(label, -1);
  else tell(label, is_root(up, fd));
}

static int open_descriptors(void) {
  int count = 0;
  for (int fd = 3; fd < 1024; fd++) count += fcntl(fd, F_GETFD) >= 0;
  return count;
}

static void escape_by_links(void) {
  char path[64], own[64];
  snprintf(own, sizeof own, "/proc/%d", getpid());
  int fd = open(own, O_RDONLY | O_DIRECTORY);
  if (fd >= 0) close(fd);
  snprintf(path, sizeof path, "/proc/%d-was", getpid());
  rename(own, path);
  TRY("put a link in the place of a directory of /proc", symlink("../../../../../../..", own));
  go_up("a directory behind a link", "/proc/self/fd", "../../..");
}

// As programs do with a descriptor that was opened for its path alone.
static void change_by_descriptor(void) {
  char path[64];
  struct stat status;
  int fd = open("/below/own", O_CREAT | O_RDWR | O_CLOEXEC, 0600);
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  TRY("mode by descriptor", chmod(path, 0604) < 0 || fstat(fd, &status) < 0 || (status.st_mode & 0777) != 0604 ? -1 : 0);
  TRY("owner by descriptor", chown(path, 7, 8) < 0 || fstat(fd, &status) < 0 || status.st_uid != 7 ? -1 : 0);
}

static void reach_processes(pid_t pid) {
  static const char *const names[] = {"", "root", "environ", "mem", "cwd", "exe", "fd", "maps", "cmdline", "status", "task", "ns/mnt"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    char label[64];
    snprintf(label, sizeof label, "open /proc/PID/%s", names[i]);
    TRY(label, open_of(pid, names[i]));
  }
  TRY("signal", kill(pid, 0));
  TRY("signal its parent", kill(getppid(), 0));
  TRY("signal by descriptor", signal_by_descriptor(pid));
  TRY("queue a signal", syscall(SYS_tgkill, pid, pid, SIGCONT));
  TRY("trace", ptrace(PTRACE_ATTACH, pid, NULL, NULL));
  TRY("read memory", copy_memory(pid));
  TRY("limit", limit(pid));
  TRY("priority", lower_priority(PRIO_PROCESS, (id_t)pid));
  TRY("priority of all of root's", lower_priority(PRIO_USER, 0));
  TRY("affinity", set_affinity(pid));
  TRY("priority of its disk", syscall(SYS_ioprio_set, 1, pid, 2 << 13));
  TRY("take a descriptor", syscall(438, syscall(434, pid, 0), 0, 0));
}

int main(int argc, char **argv) {
  if (argc != 4) return 64;
  printf("descriptors=%d\n", open_descriptors());
  mkdir("/below", 0755);
  TRY("chroot", chroot("/below"));
  TRY("unshare", unshare(CLONE_NEWNS));
  TRY("user namespace", unshare(CLONE_NEWUSER));
  TRY("mount", syscall(SYS_mount, "none", "/below", "tmpfs", 0, NULL));
  TRY("open by handle", syscall(SYS_open_by_handle_at, AT_FDCWD, NULL, 0));
  TRY("io_uring", syscall(425, 1, NULL));
  TRY("keyctl", syscall(SYS_keyctl, 0, -3, 0));
  TRY("bpf", syscall(SYS_bpf, 0, NULL, 0));
  TRY("raw socket", socket(AF_INET, SOCK_RAW, 1));
  TRY("packet socket", socket(AF_PACKET, SOCK_RAW, 0));
  TRY("abstract socket", connect_abstract(argv[3]));
  TRY("shared memory", shmat(atoi(argv[2]), NULL, SHM_RDONLY) == (void *)-1 ? -1 : 0);
  TRY("remove shared memory", shmctl(atoi(argv[2]), IPC_RMID, NULL));
  TRY("own shared memory", shmget(IPC_PRIVATE, 4096, 0600));
  TRY("make a tun device", mknod("/below/tun", S_IFCHR | 0600, makedev(10, 200)));
  TRY("make a disk", mknod("/below/disk", S_IFBLK | 0600, makedev(7, 0)));
  change_by_descriptor();
  reach_processes(atoi(argv[1]));
  go_up("/proc", "/proc", "..");
  go_up("/proc/self", "/proc/self", "../..");
  go_up("/proc/self/fd", "/proc/self/fd", "../../..");
  go_up("/proc/self/task", "/proc/self/task", "../../../../../..");
  go_up("/proc/sys/kernel", "/proc/sys/kernel", "../../..");
  go_up("/proc/self/root", "/proc/self/root", "../..");
  escape_by_links();
  return 0;
}
