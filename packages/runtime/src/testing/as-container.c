// as-container [--sys-admin] PROGRAM ARG…: becomes what root is in a default container of Docker, and executes the program: its
// capabilities, and a filter that refuses namespaces, mounts and what else such a container refuses. No namespace is made.
// With --sys-admin what `docker run --cap-add SYS_ADMIN` gives: the filter then lets all of these through but for pivot_root.
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

/** Refused with and without SYS_ADMIN: pivot_root keyctl add_key request_key open_by_handle_at, io_uring_setup, pidfd_getfd. */
static const uint32_t always[] = {SYS_pivot_root, SYS_keyctl, SYS_add_key, SYS_request_key, SYS_open_by_handle_at, 425, 438};
/** The newer ones by number: open_tree, move_mount, fsopen, fsmount, mount_setattr. */
static const uint32_t without[] = {SYS_unshare, SYS_setns, SYS_mount, SYS_umount2, SYS_bpf, SYS_perf_event_open, 428, 429, 430, 432, 442};
enum { CLONE3 = 435, ROOM = 64 };

static int refuse(struct sock_filter *program, int at, uint32_t call, int error) {
  program[at++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1);
  program[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (uint32_t)error);
  return at;
}

static int write_filter(struct sock_filter *program, int is_admin) {
  int at = 0;
  program[at++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
  for (size_t i = 0; i < sizeof always / sizeof *always; i++) at = refuse(program, at, always[i], EPERM);
  for (size_t i = 0; !is_admin && i < sizeof without / sizeof *without; i++) at = refuse(program, at, without[i], EPERM);
  if (!is_admin) {
    at = refuse(program, at, CLONE3, ENOSYS);
    program[at++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 0, 3);
    program[at++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0]));
    program[at++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, NAMESPACE_FLAGS, 0, 1);
    program[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM);
  }
  program[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
  return at;
}

int main(int argc, char **argv) {
  int is_admin = argc > 1 && strcmp(argv[1], "--sys-admin") == 0;
  if (is_admin) argv++, argc--;
  uint64_t kept = CAPABILITIES | (is_admin ? 1ull << CAP_SYS_ADMIN : 0);
  struct sock_filter program[ROOM];
  int length = write_filter(program, is_admin);
  struct sock_fprog filter = {.len = (unsigned short)length, .filter = program};
  if (argc < 2) return 64;
  // With CAP_SYS_ADMIN, so that no_new_privs stays as it is: that is the isolation's own to set.
  if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter, 0, 0) < 0) return perror("seccomp"), 1;
  for (int capability = 0; capability < 64; capability++)
    if (!(kept >> capability & 1) && prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) < 0 && errno != EINVAL) return perror("capability"), 1;
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
  struct __user_cap_data_struct data[2] = {{.effective = (uint32_t)kept, .permitted = (uint32_t)kept}, {0}};
  if (syscall(SYS_capset, &header, data) < 0) return perror("capset"), 1;
  execv(argv[1], argv + 1);
  return perror(argv[1]), 127;
}
