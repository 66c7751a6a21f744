// Makes system calls by number and prints NAME=errno a line (0: it worked): what a seccomp filter answers.
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static void try(const char *name, long result) { printf("%s=%d\n", name, result < 0 ? errno : 0); }

#if defined(__x86_64__)
// The 32-bit entry of a 64-bit kernel: its calls have numbers of their own. Answers -errno.
static long call32(long number, long a, long b, long c) {
  long result;
  __asm__ volatile("int $0x80" : "=a"(result) : "a"(number), "b"(a), "c"(b), "d"(c) : "memory", "r8", "r9", "r10", "r11");
  return result;
}
#endif

int main(void) {
  char arguments[88] = {0};
  try("getpid", syscall(SYS_getpid));
  try("socket inet", socket(AF_INET, SOCK_STREAM, 0));
  try("socket unix", socket(AF_UNIX, SOCK_STREAM, 0));
  try("socket netlink", socket(AF_NETLINK, SOCK_RAW, 0));
  try("socket alg", socket(38, SOCK_SEQPACKET, 0));
  try("socket vsock", socket(40, SOCK_STREAM, 0));
  try("personality query", syscall(SYS_personality, 0xffffffff));
  try("personality no randomisation", syscall(SYS_personality, 0x40000));
  try("clone3", syscall(435, arguments, sizeof arguments));
  try("clone newuser", syscall(SYS_clone, 0x10000000 | 17, 0, 0, 0, 0));
  try("unshare", syscall(SYS_unshare, 0x20000));
  try("keyctl", syscall(SYS_keyctl, 0, -3, 0));
  try("add_key", syscall(SYS_add_key, "user", "x", "y", 1, -3));
  try("bpf", syscall(SYS_bpf, 0, 0, 0));
  try("io_uring_setup", syscall(425, 1, arguments));
  try("open_tree", syscall(428, -100, "/", 0));
  try("userfaultfd", syscall(SYS_userfaultfd, 0));
  try("perf_event_open", syscall(SYS_perf_event_open, 0, 0, 0, 0, 0));
  try("kexec_load", syscall(SYS_kexec_load, 0, 0, 0, 0));
  try("swapon", syscall(SYS_swapon, "/x", 0));
  try("ptrace", syscall(SYS_ptrace, 0, 0, 0, 0));
  try("future call", syscall(500));
  try("no such call", syscall(5000));
#if defined(__x86_64__)
  long result = call32(20, 0, 0, 0);
  printf("32-bit getpid=%ld\n", result < 0 ? -result : 0);
  result = call32(21, 0, 0, 0);
  printf("32-bit mount=%ld\n", result < 0 ? -result : 0);
  errno = 0;
  try("x32 getpid", syscall(0x40000000 | SYS_getpid));
#endif
  return 0;
}
