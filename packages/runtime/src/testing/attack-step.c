// attack-step [SHM SOCKET STORE PID]: the command of a step, which tries what leads out of one. SHM: the number of a segment of
// shared memory outside; SOCKET: the name of an abstract socket there; STORE: a directory that no list of mounts may name; PID:
// a process outside, by its number there. Prints `NAME=` a line, and behind it what was reached. An attack counts by its effect: a call
// that is answered and gives nothing is none.
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

static char reached[512];
static char **arguments;
static int argument_count;

static void reach(const char *format, const char *what, long number) {
  if (!reached[0]) snprintf(reached, sizeof reached, format, what, number);
}

static const char *argument(int index) { return index < argument_count ? arguments[index] : NULL; }

// Refused for want of a right, or as unknown: everything else means that the kernel went to work.
static void try_call(const char *name, long result) {
  if (result >= 0) reach("%s gave %ld", name, result);
  else if (errno != EPERM && errno != ENOSYS && errno != EACCES) reach("%s passed to errno %ld", name, errno);
}
#define CALL(name, ...) (errno = 0, try_call(#name, syscall(SYS_##name, __VA_ARGS__)))

static bool reads(const char *path) {
  char byte[512];
  int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  bool is_read = fd >= 0 && read(fd, byte, sizeof byte) > 0;
  if (fd >= 0) close(fd);
  return is_read;
}

static void read_node(mode_t type, unsigned major, unsigned minor) {
  static const char *const places[] = {"/node", "/dev/node", "/tmp/node", "/dev/shm/node", "/cache/node"};
  for (size_t i = 0; i < COUNT(places); i++) {
    unlink(places[i]);
    if (mknod(places[i], type | 0666, makedev(major, minor)) < 0) continue;
    if (reads(places[i])) reach("%s of %ld", places[i], major * 1000 + minor);
    unlink(places[i]);
  }
}

// CVE-less: what a builder of ours let a plain RUN do.
static void disks(void) {
  static const unsigned majors[] = {1, 7, 8, 11, 43, 179, 202, 252, 253, 254, 259};
  for (size_t i = 0; i < COUNT(majors); i++)
    for (unsigned minor = 0; minor < 4; minor++) read_node(S_IFBLK, majors[i], minor);
}

static void memory_of_the_machine(void) {
  static const char *const paths[] = {"/dev/mem", "/dev/kmem", "/dev/port", "/dev/kmsg", "/proc/kcore", "/proc/kmsg", "/proc/keys", "/proc/timer_list", "/proc/sched_debug", "/proc/latency_stats"};
  for (size_t i = 0; i < COUNT(paths); i++)
    if (reads(paths[i])) reach("%s", paths[i], 0);
  for (unsigned minor = 1; minor <= 11; minor++)
    if (minor == 1 || minor == 2 || minor == 4 || minor == 11) read_node(S_IFCHR, 1, minor);
}

static void ask_device(const char *name, unsigned major, unsigned minor, unsigned long request, void *value) {
  unlink("/control");
  if (mknod("/control", S_IFCHR | 0666, makedev(major, minor)) < 0) return;
  int fd = open("/control", O_RDWR | O_CLOEXEC);
  if (fd >= 0 && ioctl(fd, request, value) >= 0) reach("%s", name, 0);
  if (fd >= 0) close(fd);
  unlink("/control");
}

static void control_devices(void) {
  char interface[64] = "tap-attack";
  interface[16] = 2; // IFF_TAP
  ask_device("loop-control", 10, 237, 0x4c82, NULL);
  ask_device("tun", 10, 200, 0x400454ca, interface);
  ask_device("kvm", 10, 232, 0xae00, NULL);
}

static void foreign_devices(void) {
  static const char usual[] = " null zero full random urandom tty ptmx ";
  DIR *entries = opendir("/dev");
  struct dirent *entry;
  while (entries && (entry = readdir(entries))) {
    struct stat status;
    char word[300];
    snprintf(word, sizeof word, " %s ", entry->d_name);
    if (fstatat(dirfd(entries), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) < 0) continue;
    if ((S_ISBLK(status.st_mode) || S_ISCHR(status.st_mode)) && !strstr(usual, word)) reach("/dev/%s", entry->d_name, 0);
  }
  if (entries) closedir(entries);
}

static void open_to_write(const char *path) {
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd >= 0) reach("%s", path, 0), close(fd);
}

static const char *const settings[] = {"proc/sys/kernel/core_pattern", "proc/sys/kernel/modprobe", "proc/sys/vm/overcommit_memory", "proc/sys/fs/suid_dumpable", "proc/sys/net/ipv4/ip_forward", "proc/sys/fs/binfmt_misc/register", "proc/sysrq-trigger", "proc/irq/default_smp_affinity", "proc/bus/pci/devices", "proc/scsi/scsi", "proc/acpi/wakeup", "sys/kernel/uevent_helper", "sys/kernel/mm/transparent_hugepage/enabled", "sys/power/state", "sys/module/kernel/parameters/panic"};

// By name, from the root and from /proc, through a link of its own, and through links of the kernel.
static void settings_of_the_kernel(void) {
  static const char *const ways[] = {"/", "/proc/self/root/", "/proc/self/cwd/", "/link-to-root/", "/proc/thread-self/root/", "./", "//proc/../"};
  unlink("/link-to-root");
  if (symlink("/", "/link-to-root") < 0 || chdir("/") < 0) return;
  for (size_t i = 0; i < COUNT(settings); i++)
    for (size_t way = 0; way < COUNT(ways); way++) {
      char path[256];
      snprintf(path, sizeof path, "%s%s", ways[way], settings[i]);
      open_to_write(path);
    }
  int proc = open("/proc", O_PATH | O_DIRECTORY);
  int fd = openat(proc, "sys/kernel/core_pattern", O_WRONLY);
  if (fd >= 0) reach("%s by a descriptor of /proc", "core_pattern", 0);
  unlink("/link-to-root");
}

static void release_agent(void) {
  static const char *const controllers[] = {"rdma", "memory", "pids", "misc", "none,name=attack"};
  mkdir("/group", 0755);
  for (size_t i = 0; i < COUNT(controllers); i++)
    if (mount("cgroup", "/group", "cgroup", 0, controllers[i]) == 0) reach("mount of %s", controllers[i], 0);
  if (mount("cgroup2", "/group", "cgroup2", 0, NULL) == 0) reach("mount of %s", "cgroup2", 0);
  rmdir("/group");
  static const char *const groups[] = {"", "/unified", "/memory", "/devices", "/pids", "/rdma", "/systemd", "/cpu"};
  static const char *const files[] = {"release_agent", "notify_on_release", "cgroup.procs", "devices.allow", "cgroup.subtree_control"};
  for (size_t i = 0; i < COUNT(groups); i++) {
    char path[128];
    snprintf(path, sizeof path, "/sys/fs/cgroup%s/attack", groups[i]);
    struct stat status;
    char parent[128];
    snprintf(parent, sizeof parent, "/sys/fs/cgroup%s/cgroup.procs", groups[i]);
    if (stat(parent, &status) == 0 && mkdir(path, 0755) == 0) reach("%s", path, 0), rmdir(path);
    for (size_t file = 0; file < COUNT(files); file++) {
      snprintf(path, sizeof path, "/sys/fs/cgroup%s/%s", groups[i], files[file]);
      open_to_write(path);
    }
  }
}

static void namespaces(void) {
  static const struct { const char *name; int flag; } kinds[] = {{"user", CLONE_NEWUSER}, {"mnt", CLONE_NEWNS}, {"pid", CLONE_NEWPID}, {"net", CLONE_NEWNET}, {"ipc", CLONE_NEWIPC}, {"uts", CLONE_NEWUTS}, {"cgroup", CLONE_NEWCGROUP}};
  for (size_t i = 0; i < COUNT(kinds); i++) {
    pid_t child = fork();
    if (child == 0) _exit(unshare(kinds[i].flag) == 0);
    int status;
    waitpid(child, &status, 0);
    if (!WIFEXITED(status) || WEXITSTATUS(status)) reach("unshare of %s", kinds[i].name, 0);
    child = (pid_t)syscall(SYS_clone, SIGCHLD | kinds[i].flag, NULL, NULL, NULL, NULL);
    if (child == 0) _exit(0);
    if (child > 0) reach("clone of %s", kinds[i].name, 0);
    unsigned long long values[8] = {(unsigned)kinds[i].flag, 0, 0, 0, SIGCHLD};
    child = (pid_t)syscall(435, values, sizeof values);
    if (child == 0) _exit(0);
    if (child > 0) reach("clone3 of %s", kinds[i].name, 0);
  }
}

static void mounts(void) {
  mkdir("/mounted", 0755);
  CALL(mount, "none", "/mounted", "tmpfs", 0, NULL);
  CALL(mount, "/dev", "/mounted", NULL, MS_BIND | MS_REC, NULL);
  CALL(mount, "none", "/mounted", "proc", 0, NULL);
  CALL(mount, NULL, "/proc/sys", NULL, MS_REMOUNT | MS_BIND, NULL);
  CALL(mount, NULL, "/sys", NULL, MS_REMOUNT, NULL);
  CALL(umount2, "/proc/keys", MNT_DETACH);
  CALL(umount2, "/proc/sys", MNT_DETACH);
  CALL(umount2, "/etc/resolv.conf", MNT_DETACH);
  CALL(pivot_root, "/mounted", "/mounted");
  errno = 0, try_call("fsopen", syscall(430, "tmpfs", 0));
  errno = 0, try_call("open_tree", syscall(428, AT_FDCWD, "/proc", 1));
  errno = 0, try_call("move_mount", syscall(429, AT_FDCWD, "/proc", AT_FDCWD, "/mounted", 0));
  errno = 0, try_call("mount_setattr", syscall(442, AT_FDCWD, "/proc/sys", 0, (unsigned long long[4]){0, 1}, 32));
  rmdir("/mounted");
}

static bool is_own_root(int at, const char *path) {
  struct stat own, found;
  return stat("/", &own) == 0 && (fstatat(at, path, &found, 0) < 0 || (own.st_dev == found.st_dev && own.st_ino == found.st_ino));
}

// Whoever may chroot leaves a chroot: what then lies at the top is the root of the step all the same.
static void another_root(void) {
  char up[400] = "";
  for (int i = 0; i < 100; i++) strcat(up, "../");
  if (!is_own_root(AT_FDCWD, up)) reach("%s", "links upwards", 0);
  mkdir("/below", 0755);
  int pipes[2];
  if (pipe(pipes) < 0) return;
  pid_t child = fork();
  if (child == 0) {
    struct stat own, found;
    int root = open("/", O_RDONLY | O_DIRECTORY);
    bool is_out = stat("/", &own) == 0 && chroot("/below") == 0 && fchdir(root) == 0 && stat(up, &found) == 0 && (own.st_dev != found.st_dev || own.st_ino != found.st_ino);
    _exit(is_out);
  }
  int status;
  waitpid(child, &status, 0);
  if (!WIFEXITED(status) || WEXITSTATUS(status)) reach("%s", "chroot and back", 0);
  rmdir("/below");
}

// CVE-2024-21626
static void descriptors(void) {
  for (int fd = 3; fd < 1024; fd++)
    if (fcntl(fd, F_GETFD) >= 0) reach("%s %ld", "descriptor", fd);
}

static void look_at(const char *pid) {
  static const char *const files[] = {"environ", "mem", "maps", "auxv", "exe", "stack", "pagemap"};
  static const char *const namespaces[] = {"user", "mnt", "pid", "net"};
  static const char *const written[] = {"comm", "uid_map", "timens_offsets"};
  char path[128];
  for (size_t i = 0; i < COUNT(files); i++) {
    snprintf(path, sizeof path, "/proc/%s/%s", pid, files[i]);
    if (reads(path)) reach("%s", path, 0);
  }
  static const char *const directories[] = {"root", "cwd", "root/proc/self/root"};
  for (size_t i = 0; i < COUNT(directories); i++) {
    snprintf(path, sizeof path, "/proc/%s/%s", pid, directories[i]);
    if (!is_own_root(AT_FDCWD, path)) reach("%s", path, 0);
  }
  for (size_t i = 0; i < COUNT(namespaces); i++) {
    snprintf(path, sizeof path, "/proc/%s/ns/%s", pid, namespaces[i]);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) reach("%s", path, 0), close(fd);
  }
  for (size_t i = 0; i < COUNT(written); i++) {
    snprintf(path, sizeof path, "/proc/%s/%s", pid, written[i]);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd >= 0 && write(fd, "x", 1) >= 0) reach("%s", path, 0);
    if (fd >= 0) close(fd);
  }
  for (int fd = 0; fd < 64; fd++) {
    snprintf(path, sizeof path, "/proc/%s/fd/%d", pid, fd);
    int opened = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (opened >= 0) reach("%s", path, 0), close(opened);
  }
}

// What the owner of a process may write: who is killed first for want of memory, how nice it is, what its core would hold.
static void set_process(const char *pid) {
  static const char *const files[] = {"oom_score_adj", "autogroup", "coredump_filter", "clear_refs", "sched"};
  for (size_t i = 0; i < COUNT(files); i++) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%s/%s", pid, files[i]);
    open_to_write(path);
  }
}

// Of a step whose command this is every other process is somebody else's; CVE-2019-5736.
static void of_others(void (*try)(const char *pid)) {
  char self[32] = "";
  if (readlink("/proc/self", self, sizeof self - 1) < 0) return reach("%s", "no /proc/self", 0);
  DIR *entries = opendir("/proc");
  struct dirent *entry;
  while (entries && (entry = readdir(entries)))
    if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9' && strcmp(entry->d_name, self) != 0) try(entry->d_name);
  if (entries) closedir(entries);
  if (argument(3) && strcmp(argument(3), self) != 0) try(argument(3));
}

static void processes_by_name(void) { of_others(look_at); }

static void process_settings(void) { of_others(set_process); }

static void change(pid_t pid) {
  char byte;
  struct iovec local = {&byte, 1}, remote = {&byte, 1};
  struct rlimit limit = {1, 1};
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(0, &set);
  if (kill(pid, 0) == 0) reach("%s %ld", "kill", pid);
  if (prlimit(pid, RLIMIT_CORE, &limit, NULL) == 0) reach("%s %ld", "prlimit", pid);
  if (setpriority(PRIO_PROCESS, (id_t)pid, 1) == 0) reach("%s %ld", "setpriority", pid);
  if (sched_setaffinity(pid, sizeof set, &set) == 0) reach("%s %ld", "sched_setaffinity", pid);
  if (syscall(SYS_ioprio_set, 1, pid, 2 << 13) == 0) reach("%s %ld", "ioprio_set", pid);
  if (process_vm_readv(pid, &local, 1, &remote, 1, 0) >= 0) reach("%s %ld", "process_vm_readv", pid);
  if (ptrace(PTRACE_SEIZE, pid, NULL, NULL) == 0) reach("%s %ld", "ptrace", pid);
  int fd = (int)syscall(434, pid, 0);
  if (fd >= 0 && syscall(424, fd, 0, NULL, 0) == 0) reach("%s %ld", "pidfd_send_signal", pid);
  if (fd >= 0 && syscall(438, fd, 0, 0) >= 0) reach("%s %ld", "pidfd_getfd", pid);
  if (fd >= 0) close(fd);
}

static void processes_by_number(void) {
  for (pid_t pid = 1; pid < 400; pid++)
    if (pid != getpid()) change(pid);
  if (argument(3) && atoi(argument(3)) != getpid()) change(atoi(argument(3)));
}

static void calls(void) {
  struct { unsigned length; int type; unsigned char bytes[128]; } handle = {.length = 128};
  int mount_id, root = open("/", O_RDONLY | O_DIRECTORY);
  // As the program "shocker" did.
  if (syscall(SYS_name_to_handle_at, AT_FDCWD, "/", &handle, &mount_id, 0) == 0) CALL(open_by_handle_at, root, &handle, O_RDONLY);
  close(root);
  CALL(add_key, "user", "attack", "x", 1L, -3L);
  CALL(keyctl, 0L, -3L, 0L);
  CALL(request_key, "user", "attack", NULL, -3L);
  CALL(bpf, 0L, NULL, 0L);
  CALL(perf_event_open, NULL, 0L, -1L, -1L, 0L);
  CALL(userfaultfd, 0L);
  errno = 0, try_call("io_uring_setup", syscall(425, 1L, NULL));
  CALL(kexec_load, 0L, 0L, NULL, 0L);
  CALL(init_module, NULL, 0L, "");
  CALL(finit_module, -1L, "", 0L);
  CALL(delete_module, "attack", 0L);
  CALL(swapon, "/none", 0L);
  CALL(swapoff, "/none");
  CALL(acct, "/none");
  CALL(quotactl, 0L, "/none", 0L, NULL);
  CALL(syslog, 3L, NULL, 0L);
  CALL(fanotify_init, 0L, 0L);
#ifdef SYS_iopl
  CALL(iopl, 3L);
  CALL(ioperm, 0x80L, 1L, 1L);
#endif
}

static void shared_memory(void) {
  if (argument(0) && shmat(atoi(argument(0)), NULL, SHM_RDONLY) != (void *)-1) reach("%s", "a segment outside", 0);
}

static void abstract_socket(void) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (!argument(1) || !*argument(1)) return;
  strncpy(address.sun_path + 1, argument(1), sizeof address.sun_path - 2);
  socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(argument(1)));
  if (connect(fd, (struct sockaddr *)&address, length) == 0) reach("%s", "a socket outside", 0);
}

static void path_of_the_store(void) {
  FILE *file = fopen("/proc/self/mountinfo", "re");
  char line[4096];
  while (file && argument(2) && fgets(line, sizeof line, file))
    if (strstr(line, argument(2))) reach("%s", line, 0);
  reached[strcspn(reached, "\n")] = 0;
}

int main(int count, char **words) {
  static const struct { const char *name; void (*run)(void); } attacks[] = {
      {"descriptors left open", descriptors},
      {"a disk", disks},
      {"memory of the machine", memory_of_the_machine},
      {"control devices", control_devices},
      {"foreign devices in /dev", foreign_devices},
      {"settings of the kernel", settings_of_the_kernel},
      {"release_agent", release_agent},
      {"namespaces of its own", namespaces},
      {"mounts", mounts},
      {"another root", another_root},
      {"processes in /proc", processes_by_name},
      {"settings of processes", process_settings},
      {"processes by number", processes_by_number},
      {"calls that are not for steps", calls},
      {"shared memory", shared_memory},
      {"an abstract socket", abstract_socket},
      {"the path of the store", path_of_the_store},
  };
  arguments = words + 1;
  argument_count = count - 1;
  for (size_t i = 0; i < COUNT(attacks); i++) {
    reached[0] = 0;
    attacks[i].run();
    printf("%s=%s\n", attacks[i].name, reached);
    fflush(stdout);
  }
  return 0;
}
