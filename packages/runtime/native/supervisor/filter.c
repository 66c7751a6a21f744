// Traps to BPF: a search by halves, as the kernel tries every number against a new filter (a list of forty costs 0.3 ms).
#include <linux/audit.h>
#include <stdlib.h>

#include "trap.h"

#define PROGRAM_LIMIT (TRAP_LIMIT * 10)
#define LOW_WORD(argument) (offsetof(struct seccomp_data, args) + 8 * (argument))

#if defined(__x86_64__)
#define NATIVE_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define NATIVE_ARCH AUDIT_ARCH_AARCH64
#else
#error "no supervisor for this architecture: add its AUDIT_ARCH here"
#endif

static struct sock_filter program[PROGRAM_LIMIT];
static unsigned length;

static void emit(uint16_t code, uint32_t value, uint8_t if_true, uint8_t if_false) {
  if (length == PROGRAM_LIMIT) abort();
  program[length++] = (struct sock_filter){code, if_true, if_false, value};
}

static void give(uint32_t action) { emit(BPF_RET | BPF_K, action, 0, 0); }

static void emit_trap(const struct trap *trap) {
  emit(BPF_JMP | BPF_JEQ | BPF_K, trap->number, 1, 0);
  give(SECCOMP_RET_ALLOW);
  if (trap->condition != TRAP_ALWAYS) {
    emit(BPF_LD | BPF_W | BPF_ABS, LOW_WORD(trap->argument), 0, 0);
    uint16_t test = trap->condition == TRAP_EQUAL ? BPF_JEQ : BPF_JSET;
    bool asked_if_set = trap->condition != TRAP_NO_BIT;
    emit(BPF_JMP | test | BPF_K, trap->value, asked_if_set, !asked_if_set);
    give(SECCOMP_RET_ALLOW);
  }
  give(SECCOMP_RET_USER_NOTIF);
}

static void search(const struct trap *traps, size_t count) {
  if (count == 1) {
    emit_trap(traps);
    return;
  }
  size_t half = count / 2;
  emit(BPF_JMP | BPF_JGE | BPF_K, traps[half].number, 0, 1);
  unsigned jump = length;
  emit(BPF_JMP | BPF_JA, 0, 0, 0);
  search(traps, half);
  program[jump].k = length - jump - 1;
  search(traps + half, count - half);
}

static int by_number(const void *a, const void *b) {
  uint32_t left = ((const struct trap *)a)->number, right = ((const struct trap *)b)->number;
  return left < right ? -1 : left > right;
}

struct sock_fprog compile_traps(struct trap *traps, size_t count) {
  if (count == 0 || count > TRAP_LIMIT) abort();
  qsort(traps, count, sizeof *traps, by_number);
  length = 0;
  emit(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch), 0, 0);
  // Another ABI has other numbers, and the x32 ones (bit 30) are above all of ours: the step's policy alone answers those.
  emit(BPF_JMP | BPF_JEQ | BPF_K, NATIVE_ARCH, 1, 0);
  give(SECCOMP_RET_ALLOW);
  emit(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr), 0, 0);
  search(traps, count);
  return (struct sock_fprog){.len = (unsigned short)length, .filter = program};
}
