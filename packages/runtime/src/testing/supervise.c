// A process under a supervisor whose handlers use all that supervisor.h offers. Without arguments: one call of each kind, its
// outcome on a line. With `end`: the same, and whether the supervisor was busy when it had ended. With `fuzz SEED SECONDS`:
// random arguments and memory that other threads change, as a hostile step would.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../../native/supervisor/supervisor.h"

enum { THREADS = 4 };

static struct answer give_number(struct call *call) { return return_value(4242); }
static struct answer refuse(struct call *call) { return return_error(EXDEV); }
static struct answer pass(struct call *call) { return ask_kernel(); }

// sethostname(text, address): the length of the text; it is written back, reversed, to the address.
static struct answer reverse(struct call *call) {
  char text[300];
  int length = read_text(call, argument(call, 0), text, sizeof text);
  if (length < 0) return return_error(-length);
  for (int i = 0; i < length / 2; i++) {
    char kept = text[i];
    text[i] = text[length - 1 - i];
    text[length - 1 - i] = kept;
  }
  int error = write_memory(call, argument(call, 1), text, (size_t)length + 1);
  return error < 0 ? return_error(-error) : return_value(length);
}

// setdomainname(…): a descriptor of a new file in memory, close-on-exec when the second argument is odd.
static struct answer give_file(struct call *call) { return return_descriptor((int)syscall(SYS_memfd_create, "given", 1), int_argument(call, 1) & 1); }

static struct trap traps[] = {
    {SYS_sethostname, reverse},
    {SYS_getpgid, give_number},
    {SYS_setdomainname, give_file},
    {SYS_getsid, pass},
    {SYS_sched_get_priority_max, refuse, TRAP_EQUAL, 0, 7},
    {SYS_ioprio_get, refuse, TRAP_ANY_BIT, 1, 0x30},
    {SYS_getpriority, refuse, TRAP_NO_BIT, 0, 0x30},
    {SYS_sched_get_priority_min, refuse, TRAP_EQUAL, 0, 0x10, 0x30},
};
#define TRAP_COUNT (sizeof traps / sizeof *traps)

static void say(const char *what, long result) { printf("%s=%ld\n", what, result < 0 ? -(long)errno : result); }

static void call_each(void) {
  char text[] = "abcdef", back[512] = "";
  say("value", syscall(SYS_getpgid, 0));
  say("kernel", syscall(SYS_getsid, 0) == getsid(0));
  say("text", syscall(SYS_sethostname, text, back));
  printf("written=%s\n", back);
  char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  memcpy(page + 4093, "xy", 3);
  say("text at the end of a page", syscall(SYS_sethostname, page + 4093, back));
  memset(page, 'x', 4096);
  say("text without an end", syscall(SYS_sethostname, page, back));
  say("text that leaves its page", syscall(SYS_sethostname, page + 4000, back));
  say("no address", syscall(SYS_sethostname, NULL, back));
  say("address that cannot be written", syscall(SYS_sethostname, text, 8));
  int fd = (int)syscall(SYS_setdomainname, "", 0);
  say("descriptor", fd >= 0 && write(fd, "x", 1) == 1 && fcntl(fd, F_GETFD) == 0);
  say("descriptor, closed on exec", fcntl((int)syscall(SYS_setdomainname, "", 1), F_GETFD));
  say("equal", syscall(SYS_sched_get_priority_max, 7));
  say("other", syscall(SYS_sched_get_priority_max, 999));
  say("bit", syscall(SYS_ioprio_get, 99, 0x20));
  say("no such bit", syscall(SYS_ioprio_get, 99, 0x40));
  say("without the bit", syscall(SYS_getpriority, 0x40, 0));
  say("with the bit", syscall(SYS_getpriority, 0x10, 0));
  say("equal in the mask", syscall(SYS_sched_get_priority_min, 0x911));
  say("other in the mask", syscall(SYS_sched_get_priority_min, 0x931));
#if defined(__x86_64__)
  // getpgid of x32 and of i386.
  say("x32", syscall(SYS_getpgid | 0x40000000, 0));
  long answer = 132;
  __asm__ volatile("int $0x80" : "+a"(answer) : "b"(getpid()) : "memory");
  printf("i386=%s\n", answer == 4242 ? "answered" : "not asked");
#endif
}

static char *shared;
static time_t deadline;

static uint64_t random_word(unsigned *seed) {
  switch (rand_r(seed) % 6) {
  case 0: return (uint64_t)(uintptr_t)shared + (unsigned)rand_r(seed) % 8192;
  case 1: return (uint64_t)(uintptr_t)&random_word;
  case 2: return (uint64_t)rand_r(seed) << 32 | (unsigned)rand_r(seed);
  case 3: return (uint64_t)-(rand_r(seed) % 4096);
  default: return (unsigned)rand_r(seed) % 64;
  }
}

static void *call_at_random(void *seed_at) {
  unsigned seed = *(unsigned *)seed_at;
  while (time(NULL) < deadline) {
    uint64_t words[3] = {random_word(&seed), random_word(&seed), random_word(&seed)};
    int fd = (int)syscall((long)traps[(unsigned)rand_r(&seed) % TRAP_COUNT].number, words[0], words[1], words[2]);
    if (fd > 9 && fd < 4242) close(fd);
    shared[(unsigned)rand_r(&seed) % 4096] = (char)rand_r(&seed);
    // The second page comes and goes.
    if (rand_r(&seed) % 64 == 0) mprotect(shared + 4096, 4096, rand_r(&seed) % 2 ? PROT_NONE : PROT_READ | PROT_WRITE);
    if (rand_r(&seed) % 256 == 0) {
      pid_t child = fork();
      if (child == 0) {
        // Killed in the midst of a call, or after it.
        for (int i = 0; i < 64; i++) syscall((long)traps[(unsigned)rand_r(&seed) % TRAP_COUNT].number, words[0], words[1], words[2]);
        _exit(0);
      }
      if (child > 0) kill(child, SIGKILL), waitpid(child, NULL, 0);
    }
  }
  return NULL;
}

static void fuzz(unsigned seed, int seconds) {
  pthread_t threads[THREADS];
  unsigned seeds[THREADS];
  deadline = time(NULL) + seconds;
  shared = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  for (int i = 0; i < THREADS; i++) seeds[i] = seed + (unsigned)i, pthread_create(&threads[i], NULL, call_at_random, &seeds[i]);
  for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
  // It still answers, and rightly.
  say("value", syscall(SYS_getpgid, 0));
}

static void say_processor_time(pid_t child) {
  struct rusage usage;
  wait4(child, NULL, 0, &usage);
  say("busy", usage.ru_utime.tv_sec + usage.ru_stime.tv_sec > 0 || usage.ru_utime.tv_usec + usage.ru_stime.tv_usec > 20000);
}

int main(int argc, char **argv) {
  int sockets[2];
  struct sock_fprog filter = compile_traps(traps, TRAP_COUNT);
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) < 0) return 2;
  pid_t step = fork();
  if (step == 0) {
    int listener;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || (listener = install_listener(&filter)) < 0) return perror("listener"), 2;
    if (hand_listener_over(sockets[0], listener) < 0) return perror("hand over"), 2;
    close(listener);
    if (argc == 4) fuzz((unsigned)strtoul(argv[2], NULL, 10), atoi(argv[3]));
    else call_each();
    say("second listener", install_listener(&filter));
    return 0;
  }
  pid_t supervisor = fork();
  if (supervisor == 0) {
    int listener = take_descriptor(sockets[1]);
    if (listener < 0 || tell_that_it_serves(sockets[1]) < 0) _exit(2);
    supervise(listener, traps, TRAP_COUNT, NULL);
  }
  close(sockets[0]), close(sockets[1]);
  int status, own;
  waitpid(step, &status, 0);
  if (argc == 2) nanosleep(&(struct timespec){.tv_nsec = 500000000}, NULL);
  if (waitpid(supervisor, &own, WNOHANG) != 0) printf("the supervisor ended: %d\n", own);
  kill(supervisor, SIGKILL);
  if (argc == 2) say_processor_time(supervisor);
  return status != 0;
}
