// Traps to BPF: a search by halves, as the kernel tries every number against a new filter (a list of forty costs 0.3 ms).
#include <stdlib.h>

#include "../common/bpf-program.h"
#include "trap.h"

#define PROGRAM_LIMIT (TRAP_LIMIT * 10)

static struct sock_filter instructions[PROGRAM_LIMIT];
static struct bpf_program program = {instructions, PROGRAM_LIMIT, 0};

static void emit_trap(const struct trap *trap) {
  emit(&program, BPF_JMP | BPF_JEQ | BPF_K, trap->number, 1, 0);
  give(&program, SECCOMP_RET_ALLOW);
  if (trap->condition != TRAP_ALWAYS) {
    emit(&program, BPF_LD | BPF_W | BPF_ABS, LOW_WORD(trap->argument), 0, 0);
    if (trap->mask) emit(&program, BPF_ALU | BPF_AND | BPF_K, trap->mask, 0, 0);
    uint16_t test = trap->condition == TRAP_EQUAL ? BPF_JEQ : BPF_JSET;
    bool asked_if_set = trap->condition != TRAP_NO_BIT;
    emit(&program, BPF_JMP | test | BPF_K, trap->value, asked_if_set, !asked_if_set);
    give(&program, SECCOMP_RET_ALLOW);
  }
  give(&program, SECCOMP_RET_USER_NOTIF);
}

static void search(const struct trap *traps, size_t count) {
  if (count == 1) {
    emit_trap(traps);
    return;
  }
  size_t half = count / 2;
  emit(&program, BPF_JMP | BPF_JGE | BPF_K, traps[half].number, 0, 1);
  unsigned jump = program.length;
  emit(&program, BPF_JMP | BPF_JA, 0, 0, 0);
  search(traps, half);
  program.code[jump].k = program.length - jump - 1;
  search(traps + half, count - half);
}

static int by_number(const void *a, const void *b) {
  uint32_t left = ((const struct trap *)a)->number, right = ((const struct trap *)b)->number;
  return left < right ? -1 : left > right;
}

struct sock_fprog compile_traps(struct trap *traps, size_t count) {
  if (count == 0 || count > TRAP_LIMIT) abort();
  qsort(traps, count, sizeof *traps, by_number);
  program.length = 0;
  emit(&program, BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch), 0, 0);
  // Another ABI has other numbers, and the x32 ones (bit 30) are above all of ours: the step's policy alone answers those.
  emit(&program, BPF_JMP | BPF_JEQ | BPF_K, NATIVE_ARCH, 1, 0);
  give(&program, SECCOMP_RET_ALLOW);
  emit(&program, BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr), 0, 0);
  search(traps, count);
  return finished(&program);
}
