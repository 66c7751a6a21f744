// Makes system calls by number and prints NAME=errno a line (0: it worked), or NAME=signal N where the call ended its
// process: what a seccomp filter, or the kernel, answers. Each in a process of its own.
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum entry { NATIVE, ENTRY_32, X32 };

static char memory[88];

#if defined(__x86_64__)
// The 32-bit entry of a 64-bit kernel: its calls have numbers of their own. Answers -errno.
static long call32(long number, long a, long b, long c) {
  long result;
  __asm__ volatile("int $0x80" : "=a"(result) : "a"(number), "b"(a), "c"(b), "d"(c), "S"(0), "D"(0) : "memory", "r8", "r9", "r10", "r11");
  return result;
}
#endif

static int make_call(enum entry entry, long number, long a, long b, long c) {
#if defined(__x86_64__)
  if (entry == ENTRY_32) {
    long result = call32(number, a, b, c);
    return result < 0 ? (int)-result : 0;
  }
  if (entry == X32) number |= 0x40000000;
#endif
  // A fork's child that comes back here must not go on as a second one of us.
  pid_t self = getpid();
  long result = syscall(number, a, b, c, 0, 0, 0);
  if (getpid() != self) _exit(0);
  return result < 0 ? errno : 0;
}

static void try(const char *name, enum entry entry, long number, long a, long b, long c) {
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) {
    alarm(5);
    _exit(make_call(entry, number, a, b, c));
  }
  int status;
  if (child < 0 || waitpid(child, &status, 0) < 0) printf("%s=no process\n", name);
  else if (WIFSIGNALED(status)) printf("%s=signal %d\n", name, WTERMSIG(status));
  else printf("%s=%d\n", name, WEXITSTATUS(status));
}

#define CALL(name, number, a, b, c) try(name, NATIVE, number, (long)(a), (long)(b), (long)(c))

int main(void) {
  CALL("getpid", SYS_getpid, 0, 0, 0);
  CALL("socket inet", SYS_socket, AF_INET, SOCK_STREAM, 0);
  CALL("socket unix", SYS_socket, AF_UNIX, SOCK_STREAM, 0);
  CALL("socket netlink", SYS_socket, AF_NETLINK, SOCK_RAW, 0);
  CALL("socket alg", SYS_socket, 38, SOCK_SEQPACKET, 0);
  CALL("socket vsock", SYS_socket, 40, SOCK_STREAM, 0);
  CALL("personality query", SYS_personality, 0xffffffff, 0, 0);
  CALL("personality no randomisation", SYS_personality, 0x40000, 0, 0);
  CALL("clone3", 435, memory, sizeof memory, 0);
  CALL("clone newuser", SYS_clone, 0x10000000 | 17, 0, 0);
  CALL("unshare", SYS_unshare, 0x20000, 0, 0);
  CALL("keyctl", SYS_keyctl, 0, -3, 0);
  CALL("add_key", SYS_add_key, "user", "x", "y");
  CALL("bpf", SYS_bpf, 0, 0, 0);
  CALL("io_uring_setup", 425, 1, memory, 0);
  CALL("open_tree", 428, -100, "/", 0);
  CALL("open_by_handle_at", SYS_open_by_handle_at, 0, memory, 0);
  CALL("userfaultfd", SYS_userfaultfd, 0, 0, 0);
  CALL("perf_event_open", SYS_perf_event_open, 0, 0, 0);
  CALL("kexec_load", SYS_kexec_load, 0, 0, 0);
  CALL("init_module", SYS_init_module, memory, 1, "");
  CALL("swapon", SYS_swapon, "/x", 0, 0);
  CALL("setns", SYS_setns, 0, 0, 0);
  CALL("pivot_root", SYS_pivot_root, "/", "/", 0);
  CALL("ptrace", SYS_ptrace, 0, 0, 0);
  CALL("future call", 500, 0, 0, 0);
  CALL("no such call", 5000, 0, 0, 0);
#if defined(__x86_64__)
  // Numbers of asm/unistd_32.h, whose names clash with those of this architecture.
  static const struct {
    const char *name;
    long number, first;
  } calls32[] = {
      {"32-bit getpid", 20, 0},          {"32-bit mount", 21, 0},           {"32-bit stime", 25, 0},
      {"32-bit umount", 22, 0},          {"32-bit acct", 51, 0},            {"32-bit umount2", 52, 0},
      {"32-bit swapon", 87, 0},          {"32-bit reboot", 88, 0},          {"32-bit ioperm", 101, 0},
      {"32-bit iopl", 110, 3},           {"32-bit vm86old", 113, 0},        {"32-bit clone newuser", 120, 0x10000011},
      {"32-bit init_module", 128, 0},    {"32-bit pivot_root", 217, 0},     {"32-bit kexec_load", 283, 0},
      {"32-bit add_key", 286, 0},        {"32-bit keyctl", 288, 0},         {"32-bit unshare", 310, 0x10000000},
      {"32-bit perf_event_open", 336, 0}, {"32-bit open_by_handle_at", 342, 0}, {"32-bit setns", 346, 0},
      {"32-bit finit_module", 350, 0},   {"32-bit bpf", 357, 0},            {"32-bit socket alg", 359, 38},
      {"32-bit socket vsock", 359, 40},  {"32-bit userfaultfd", 374, 0},    {"32-bit io_uring_setup", 425, 1},
      {"32-bit fsopen", 430, 0},         {"32-bit clone3", 435, 0},         {"32-bit mount_setattr", 442, 0},
  };
  for (size_t i = 0; i < sizeof calls32 / sizeof *calls32; i++) try(calls32[i].name, ENTRY_32, calls32[i].number, calls32[i].first, 0, 0);
  static const struct {
    const char *name;
    long number, first;
  } calls_x32[] = {
      {"x32 getpid", SYS_getpid, 0},   {"x32 mount", SYS_mount, 0},     {"x32 unshare", SYS_unshare, 0x10000000},
      {"x32 keyctl", SYS_keyctl, 0},   {"x32 bpf", SYS_bpf, 0},         {"x32 ptrace", 521, 0},
      {"x32 kexec_load", 528, 0},      {"x32 setns", SYS_setns, 0},     {"x32 clone newuser", SYS_clone, 0x10000011},
  };
  for (size_t i = 0; i < sizeof calls_x32 / sizeof *calls_x32; i++) try(calls_x32[i].name, X32, calls_x32[i].number, calls_x32[i].first, 0, 0);
#endif
  return 0;
}
