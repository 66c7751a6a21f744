// A step that attacks its supervisor: the calls that it answers with random arguments, in threads that change the memory that
// these point to, with processes that are killed in a call. `SEED SECONDS`. Ends with what it has of its own, which must be right.
// `lock`: counts what many make in turns and is another's. `/PROGRAM`: traces it. `chld`: counts calls that fail because a child's end interrupts them, where the handler restarts none. Without arguments: its real and effective user, and its effective group.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { THREADS = 4, PAGES = 4 };

static const int calls[] = {
    SYS_getresuid, SYS_getresgid, SYS_getgroups, SYS_setuid, SYS_setgid, SYS_setreuid, SYS_setregid, SYS_setresuid, SYS_setresgid,
    SYS_setfsuid, SYS_setfsgid, SYS_setgroups, SYS_fchown, SYS_fchownat, SYS_openat, SYS_openat2, SYS_mkdirat, SYS_symlinkat,
    SYS_mknodat, SYS_fstat, SYS_newfstatat, SYS_statx, SYS_execve, SYS_execveat, SYS_chroot, SYS_prlimit64, SYS_getrlimit,
    SYS_setrlimit, SYS_listxattr, SYS_llistxattr, SYS_flistxattr,
#if defined(__x86_64__)
    SYS_chown, SYS_lchown, SYS_open, SYS_creat, SYS_mkdir, SYS_symlink, SYS_mknod, SYS_stat, SYS_lstat,
#endif
};
#define CALL_COUNT (sizeof calls / sizeof *calls)

static const char *const paths[] = {"/t/a", "/t/b/../a", "/t/l", ".", "..", "", "/", "/proc/self/fd/1", "/proc/1/root/t/a", "/dev/fd/0", "a", "l", "/t/s/", "/proc/thread-self/cwd/a"};
static char *memory;
static time_t deadline;

static uint64_t word(unsigned *seed) {
  switch (rand_r(seed) % 8) {
  case 0: case 1: case 2: return (uint64_t)(uintptr_t)memory + (unsigned)rand_r(seed) % (PAGES * 4096);
  case 3: return (uint64_t)rand_r(seed) << 33 | (unsigned)rand_r(seed);
  case 4: return (uint64_t)-(rand_r(seed) % 300);
  case 5: return (uint64_t)AT_FDCWD;
  case 6: return 1u << rand_r(seed) % 24;
  default: return (unsigned)rand_r(seed) % 16;
  }
}

static void scribble(unsigned *seed) {
  char *at = memory + (unsigned)rand_r(seed) % ((PAGES - 1) * 4096 - 64);
  if (rand_r(seed) % 4) strcpy(at, paths[(unsigned)rand_r(seed) % (sizeof paths / sizeof *paths)]);
  else *(uint64_t *)((uintptr_t)at & ~7ul) = word(seed);
  if (rand_r(seed) % 64 == 0) mprotect(memory + (PAGES - 1) * 4096, 4096, rand_r(seed) % 2 ? PROT_NONE : PROT_READ | PROT_WRITE);
}

static void call_once(unsigned *seed) {
  long number = calls[(unsigned)rand_r(seed) % CALL_COUNT];
  // A program that runs would be the end of this one.
  if ((number == SYS_execve || number == SYS_execveat) && rand_r(seed) % 8) return;
  syscall(number, word(seed), word(seed), word(seed), word(seed), word(seed));
}

static void *attack(void *seed_at) {
  unsigned *seed = seed_at;
  while (time(NULL) < deadline) {
    for (int i = 0; i < 200; i++) scribble(seed), call_once(seed);
    close_range(64, 4096, 0);
  }
  return NULL;
}

// Each in a process of its own: an attacker may lose its ids, its root and its descriptors.
static void run_attackers(unsigned seed, int own) {
  while (time(NULL) < deadline) {
    pid_t attacker = fork();
    if (attacker == 0) {
      // It may well be given away by it.
      close(own);
      pthread_t threads[THREADS];
      unsigned seeds[THREADS];
      for (int i = 0; i < THREADS; i++) seeds[i] = seed * 7 + (unsigned)i, pthread_create(&threads[i], NULL, attack, &seeds[i]);
      for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
      _exit(0);
    }
    usleep(100000 + (unsigned)rand_r(&seed) % 200000);
    kill(attacker, SIGKILL);
    waitpid(attacker, NULL, 0);
  }
}

// More sets of credentials, and larger ones, than are kept: refused at some point, and nothing of what was is lost.
static void exhaust_credentials(void) {
  static gid_t groups[1024];
  pid_t child = fork();
  if (child == 0) {
    for (int i = 0; i < 1024; i++) groups[i] = (gid_t)i;
    int error = 0;
    for (unsigned i = 0; i < 6000 && !error; i++) {
      groups[0] = i;
      if (syscall(SYS_setgroups, 1024, groups) < 0) error = errno;
    }
    printf("exhausted=%d\n", error == EAGAIN);
    fflush(stdout);
    _exit(0);
  }
  waitpid(child, NULL, 0);
}

static void on_signal(int number) {}

static int count_interrupted(void) {
  struct sigaction action = {.sa_handler = on_signal};
  struct stat status;
  sigaction(SIGCHLD, &action, NULL);
  pid_t parent = getpid(), sender = fork();
  if (sender == 0)
    while (getppid() == parent) kill(parent, SIGCHLD);
  unsigned interrupted = 0;
  for (int i = 0; i < 3000; i++) {
    int fd = open("/made", O_CREAT | O_RDWR, 0644);
    interrupted += fd < 0 || stat("/made", &status) < 0 || fstat(fd, &status) < 0;
    close(fd);
  }
  kill(sender, SIGKILL);
  return printf("interrupted=%u\n", interrupted) < 0;
}

// Many lock by what one alone can make: of them all, whose is what was made?
static int lock_and_unlock(void) {
  unsigned others = 0;
  pid_t children[4];
  for (int i = 0; i < 4; i++)
    if ((children[i] = fork()) == 0) {
      struct stat status;
      for (int n = 0; n < 500; n++) {
        if (mkdir("/tmp/lock", 0700) == 0) others += lstat("/tmp/lock", &status) == 0 && status.st_uid != getuid(), rmdir("/tmp/lock");
        int fd = open("/tmp/lock-file", O_CREAT | O_EXCL | O_WRONLY, 0600);
        if (fd >= 0) others += fstat(fd, &status) == 0 && status.st_uid != getuid(), unlink("/tmp/lock-file"), close(fd);
        if (symlink("x", "/tmp/lock-link") == 0) others += lstat("/tmp/lock-link", &status) == 0 && status.st_uid != getuid(), unlink("/tmp/lock-link");
      }
      _exit(others > 255 ? 255 : (int)others);
    }
  for (int i = 0, status; i < 4; i++) waitpid(children[i], &status, 0), others += WEXITSTATUS(status);
  return printf("others=%u\n", others) < 0;
}

// A program of root's is started by another user who traces it.
static int trace_set_id(const char *program) {
  int status;
  pid_t child = fork();
  if (child == 0) {
    ptrace(PTRACE_TRACEME, 0, 0, 0);
    execl(program, program, (char *)NULL);
    _exit(9);
  }
  while (waitpid(child, &status, 0) > 0 && !WIFEXITED(status)) ptrace(PTRACE_CONT, child, 0, 0);
  return WEXITSTATUS(status);
}

int main(int argc, char **argv) {
  if (argc == 2 && !strcmp(argv[1], "lock")) return lock_and_unlock();
  if (argc == 2 && argv[1][0] == '/') return trace_set_id(argv[1]);
  if (argc == 2) return count_interrupted();
  if (argc != 3) return printf("%u %u %u\n", getuid(), geteuid(), getegid()) < 0;
  memory = mmap(NULL, PAGES * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  deadline = time(NULL) + atoi(argv[2]);
  mkdir("/t", 0755), mkdir("/t/b", 0755);
  symlink("a", "/t/l"), symlink("/t/s", "/t/s");
  chdir("/t");
  int own = open("/mine", O_CREAT | O_RDWR | O_CLOEXEC, 0644);
  fchown(own, 1234, 5678);
  run_attackers((unsigned)strtoul(argv[1], NULL, 10), own);
  exhaust_credentials();
  struct stat status;
  struct rlimit limit = {0};
  fstat(own, &status);
  getrlimit(RLIMIT_LOCKS, &limit);
  printf("owner=%u:%u\nids=%u:%u\nlimit=%d\n", status.st_uid, status.st_gid, getuid(), getegid(), limit.rlim_cur == RLIM_INFINITY);
  return 0;
}
