// as-container PROGRAM ARG…: becomes what root is in a default container of Docker, and executes the program: its
// capabilities, and a filter that refuses namespaces, mounts and what else such a container refuses. No namespace is made.
#define _GNU_SOURCE
#include <errno.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CAPABILITIES 0xa80425fbull
#define NAMESPACE_FLAGS 0x7e020000u

int main(int argc, char **argv) {
  // unshare setns mount umount2 pivot_root keyctl add_key request_key bpf open_by_handle_at perf_event_open; the newer ones by
  // number: io_uring_setup, open_tree, move_mount, fsopen, fsmount, pidfd_getfd, mount_setattr.
  static const uint32_t refused[] = {SYS_unshare, SYS_setns, SYS_mount, SYS_umount2, SYS_pivot_root, SYS_keyctl, SYS_add_key, SYS_request_key, SYS_bpf, SYS_open_by_handle_at, SYS_perf_event_open, 425, 428, 429, 430, 432, 438, 442};
  enum { COUNT = sizeof refused / sizeof *refused, FIRST = 7, ALLOW = FIRST + COUNT, REFUSE = ALLOW + 1, NOT_THERE = REFUSE + 1, LENGTH = NOT_THERE + 1 };
  struct sock_filter program[LENGTH] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 435, NOT_THERE - 2, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 0, FIRST - 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
      BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, NAMESPACE_FLAGS, REFUSE - 5, ALLOW - 5),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  for (int i = 0; i < COUNT; i++) program[FIRST + i] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, refused[i], (uint8_t)(COUNT - i), 0);
  program[ALLOW] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
  program[REFUSE] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM);
  program[NOT_THERE] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS);
  struct sock_fprog filter = {.len = LENGTH, .filter = program};
  if (argc < 2) return 64;
  // With CAP_SYS_ADMIN, so that no_new_privs stays as it is: that is the isolation's own to set.
  if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter, 0, 0) < 0) return perror("seccomp"), 1;
  for (int capability = 0; capability < 64; capability++)
    if (!(CAPABILITIES >> capability & 1) && prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) < 0 && errno != EINVAL) return perror("capability"), 1;
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
  struct __user_cap_data_struct data[2] = {{.effective = (uint32_t)CAPABILITIES, .permitted = (uint32_t)CAPABILITIES}, {0}};
  if (syscall(SYS_capset, &header, data) < 0) return perror("capset"), 1;
  execv(argv[1], argv + 1);
  return perror(argv[1]), 127;
}
