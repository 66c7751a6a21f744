// A seccomp filter while it is written. An instruction more than there is room for is a bug of ours: it ends the process.
#ifndef TS_OCI_BPF_PROGRAM_H
#define TS_OCI_BPF_PROGRAM_H

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#if defined(__x86_64__)
#define NATIVE_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define NATIVE_ARCH AUDIT_ARCH_AARCH64
#else
#error "no filters for this architecture: add its AUDIT_ARCH here"
#endif

// Where an argument's low half lies: both architectures are little-endian.
#define LOW_WORD(argument) (offsetof(struct seccomp_data, args) + 8 * (argument))

struct bpf_program {
  struct sock_filter *code;
  unsigned capacity, length;
};

static inline void emit(struct bpf_program *program, uint16_t code, uint32_t value, uint8_t if_true, uint8_t if_false) {
  if (program->length == program->capacity) abort();
  program->code[program->length++] = (struct sock_filter){code, if_true, if_false, value};
}

static inline void give(struct bpf_program *program, uint32_t action) { emit(program, BPF_RET | BPF_K, action, 0, 0); }
static inline void load(struct bpf_program *program, uint32_t offset) { emit(program, BPF_LD | BPF_W | BPF_ABS, offset, 0, 0); }

static inline struct sock_fprog finished(const struct bpf_program *program) {
  return (struct sock_fprog){.len = (unsigned short)program->length, .filter = program->code};
}

#endif
