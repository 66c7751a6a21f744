// What a step says of its ids, of what it makes and of whom it starts: run where the kernel answers and where a supervisor does, it must
// print the same. `ids SEED`: random calls that change ids. `files`: modes and owners of what is made in unusual ways, as some user.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static const unsigned known_ids[] = {0, 1, 2, 1000, 65534, -1u};
static unsigned any_id(unsigned *seed) { return known_ids[(unsigned)rand_r(seed) % 6]; }

static void print_ids(long result) {
  uid_t r, e, s;
  gid_t rg, eg, sg, groups[8];
  int error = result < 0 ? errno : 0;
  getresuid(&r, &e, &s), getresgid(&rg, &eg, &sg);
  int count = getgroups(8, groups);
  printf(" %d|%u,%u,%u,%d|%u,%u,%u,%d|%d", error, r, e, s, setfsuid(-1), rg, eg, sg, setfsgid(-1), count);
  if (r != getuid() || e != geteuid() || rg != getgid() || eg != getegid()) printf("(others)");
  for (int i = 0; i < count; i++) printf(",%u", groups[i]);
}

// By number: the C library would make other threads call as well.
static long change_once(unsigned *seed) {
  gid_t groups[4] = {1, 2, 3, (unsigned)rand_r(seed) % 5};
  unsigned a = any_id(seed), b = any_id(seed), c = any_id(seed);
  switch ((unsigned)rand_r(seed) % 9) {
  case 0: return syscall(SYS_setuid, a);
  case 1: return syscall(SYS_setgid, a);
  case 2: return syscall(SYS_setreuid, a, b);
  case 3: return syscall(SYS_setregid, a, b);
  // Where these change nothing, kernels since 6.3 leave the file system's id, older ones do not: it is equal before.
  case 4: return setfsuid(geteuid()), syscall(SYS_setresuid, a, b, c);
  case 5: return setfsgid(getegid()), syscall(SYS_setresgid, a, b, c);
  case 6: return syscall(SYS_setgroups, (unsigned)rand_r(seed) % 5, groups);
  case 7: return setfsuid(a), 0;
  default: return setfsgid(a), 0;
  }
}

static int print_random_changes(unsigned seed) {
  for (int round = 0; round < 200; round++) {
    printf("%d:", round), fflush(stdout);
    unsigned own = seed + (unsigned)round * 7919;
    if (fork() == 0) {
      for (int i = 0; i < 12; i++) print_ids(change_once(&own));
      fflush(stdout), _exit(0);
    }
    wait(NULL), printf("\n");
  }
  return 0;
}

static void show(const char *path) {
  struct stat status;
  if (lstat(path, &status) < 0) printf("%.40s errno %d\n", path, errno);
  else printf("%.40s %o %u:%u\n", path, status.st_mode, status.st_uid, status.st_gid);
}

static void make(const char *path) {
  int fd = open(path, O_CREAT | O_EXCL | O_WRONLY, 0666);
  if (fd >= 0) close(fd);
  show(path);
}

static int make_in_clone(void *path) { return umask(0), make(path), fflush(stdout), 0; }
static void *make_in_thread(void *path) { return make(path), umask(07), NULL; }

static void umasks(const char *self) {
  static char stack[65536];
  make("first"), umask(077), make("second");
  umask(022), make("third"), mkdir("directory", 02777), show("directory"), mkfifo("pipe", 0666), show("pipe");
  pthread_t thread;
  pthread_create(&thread, NULL, make_in_thread, "by-thread"), pthread_join(thread, NULL), make("after-thread");
  fflush(stdout);
  if (fork() == 0) umask(0), make("by-child"), fflush(stdout), _exit(0);
  wait(NULL), make("after-child"), fflush(stdout);
  if (vfork() == 0) execl(self, self, "make", "by-program", (char *)NULL), _exit(1);
  wait(NULL), make("after-program"), fflush(stdout);
  // Its umask is ours, its limits are its own.
  waitpid(clone(make_in_clone, stack + sizeof stack, CLONE_FS | SIGCHLD, "by-clone"), NULL, 0), make("after-clone");
  umask(012345), make("odd"), printf("%o\n", umask(022));
}

static void pass_descriptor(void) {
  int pair[2], fd = open("passed", O_CREAT | O_RDWR, 0600);
  char control[CMSG_SPACE(sizeof fd)] = "", byte = 0;
  struct iovec iov = {&byte, 1};
  struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
  *CMSG_FIRSTHDR(&message) = (struct cmsghdr){CMSG_LEN(sizeof fd), SOL_SOCKET, SCM_RIGHTS};
  memcpy(CMSG_DATA(CMSG_FIRSTHDR(&message)), &fd, sizeof fd);
  socketpair(AF_UNIX, SOCK_STREAM, 0, pair), sendmsg(pair[0], &message, 0);
  fflush(stdout);
  if (fork() == 0) {
    struct stat status = {0};
    close(fd), unlink("passed");
    if (recvmsg(pair[1], &message, 0) == 1) memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof fd), fstat(fd, &status);
    printf("passed %o %u:%u, given away: %d\n", status.st_mode, status.st_uid, status.st_gid, fchown(fd, 0, -1) < 0 ? errno : 0);
    fflush(stdout), _exit(0);
  }
  wait(NULL);
}

// Of 4,095 bytes, which is the longest, of one more, and below directories that no path reaches.
static void long_paths(void) {
  char path[4200];
  memset(path, '/', sizeof path);
  memcpy(path, "./", 2), strcpy(path + 4091, "long");
  make(path), path[4090] = '/', memmove(path + 4092, "longer", 7), make(path);
  char name[256];
  memset(name, 'n', 255), name[255] = 0;
  for (int i = 0; i < 20; i++) mkdir(name, 0777), (void)!chdir(name);
  make("deep"), unlink("deep");
  // Nobody could remove them by a path.
  for (int i = 0; i < 20; i++) (void)!chdir(".."), rmdir(name);
}

static void many_processes(void) {
  unsigned wrong = 0;
  for (int i = 0; i < 3000; i++) {
    int status = 0;
    pid_t child = fork();
    // Some end in the midst of a call, and their numbers are others' soon.
    if (child == 0) kill(getpid(), i % 3 ? 0 : SIGKILL), _exit(getuid() != 1000 || getegid() != 1001);
    if (i % 5 == 0) kill(child, SIGKILL);
    waitpid(child, &status, 0);
    wrong += WIFEXITED(status) && WEXITSTATUS(status);
  }
  printf("wrong %u\n", wrong);
}

int main(int argc, char **argv) {
  if (argc == 3 && !strcmp(argv[1], "ids")) return print_random_changes((unsigned)strtoul(argv[2], NULL, 10));
  if (argc == 3) return make(argv[2]), 0;
  umasks(argv[0]), pass_descriptor(), many_processes(), long_paths();
  return 0;
}
