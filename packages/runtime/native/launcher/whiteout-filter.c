#define _GNU_SOURCE
#include "whiteout-filter.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#if defined(__x86_64__)
#define NATIVE_ARCH AUDIT_ARCH_X86_64
#else
#define NATIVE_ARCH AUDIT_ARCH_AARCH64
#endif
#define LOW_WORD(argument) (offsetof(struct seccomp_data, args) + 8 * (argument))

bool refuse_whiteouts(void) {
  // A mode of which the kernel looks at the low half, and a number of which it takes 32 bits.
  enum { IS_DEVICE = 13, ALLOW = 14, REFUSE = 15 };
#define JUMP_TO(code, value, at, if_true, if_false) BPF_JUMP(BPF_JMP | (code) | BPF_K, (value), (if_true) - (at) - 1, (if_false) - (at) - 1)
  static struct sock_filter program[] = {
      [0] = BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
      [1] = JUMP_TO(BPF_JEQ, NATIVE_ARCH, 1, 2, ALLOW),
      [2] = BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      [3] = JUMP_TO(BPF_JEQ, SYS_mknodat, 3, 9, 4),
#if defined(__x86_64__)
      [4] = JUMP_TO(BPF_JEQ, SYS_mknod, 4, 5, ALLOW),
#else
      [4] = JUMP_TO(BPF_JEQ, SYS_mknodat, 4, 5, ALLOW),
#endif
      [5] = BPF_STMT(BPF_LD | BPF_W | BPF_ABS, LOW_WORD(2)),
      [6] = JUMP_TO(BPF_JEQ, 0, 6, 7, ALLOW),
      [7] = BPF_STMT(BPF_LD | BPF_W | BPF_ABS, LOW_WORD(1)),
      [8] = BPF_STMT(BPF_JMP | BPF_JA, 3),
      [9] = BPF_STMT(BPF_LD | BPF_W | BPF_ABS, LOW_WORD(3)),
      [10] = JUMP_TO(BPF_JEQ, 0, 10, 11, ALLOW),
      [11] = BPF_STMT(BPF_LD | BPF_W | BPF_ABS, LOW_WORD(2)),
      // Both come here with the mode.
      [12] = BPF_STMT(BPF_ALU | BPF_AND | BPF_K, S_IFMT),
      [IS_DEVICE] = JUMP_TO(BPF_JEQ, S_IFCHR, IS_DEVICE, REFUSE, ALLOW),
      [ALLOW] = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
      [REFUSE] = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
  };
#undef JUMP_TO
  struct sock_fprog filter = {.len = sizeof program / sizeof *program, .filter = program};
  return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter, 0, 0) == 0;
}
