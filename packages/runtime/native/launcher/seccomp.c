// Compiles the policy to BPF: numbers are sorted into runs of equal answer and searched by halves. The kernel tries
// every number against a new filter to learn which are always allowed, so a linear list costs 0.5 ms a step.
#define _GNU_SOURCE
#include "seccomp.h"

#include <errno.h>
#include <linux/audit.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../common/bpf-program.h"
#include "seccomp-tables.h"

#define CALL_LIMIT 512
#define PROGRAM_LIMIT 4096
// Namespaces that clone() could make: NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET.
#define NAMESPACE_FLAGS 0x7e020000u

enum answer { DENY, ALLOW, NOT_THERE, ASK_CLONE, ASK_PERSONALITY, ASK_SOCKET };

static struct sock_filter instructions[PROGRAM_LIMIT];
static struct bpf_program program = {instructions, PROGRAM_LIMIT, 0};

static void ask_equal(const uint32_t *values, unsigned count) {
  for (unsigned i = 0; i < count; i++) {
    emit(&program, BPF_JMP | BPF_JEQ | BPF_K, values[i], 0, 1);
    give(&program, SECCOMP_RET_ALLOW);
  }
  give(&program, SECCOMP_RET_ERRNO | EPERM);
}

static void give_answer(enum answer answer) {
  // Linux, 32-bit on it, no randomisation, both; and "tell me" (all ones).
  static const uint32_t personalities[] = {0, 8, 0x20000, 0x20008, 0xffffffff};
  // Families that have no place in a build: DECnet, RDS and others rarely used, AF_ALG (38), AF_VSOCK (40).
  static const uint32_t families[] = {13, 14, 15, 16, 17, 18, 21, 22, 24, 26, 27, 28, 29, 30, 31, 32, 33, 35, 36, 39, 41, 42, 43, 44, 45};
  switch (answer) {
  case ALLOW: give(&program, SECCOMP_RET_ALLOW); return;
  case DENY: give(&program, SECCOMP_RET_ERRNO | EPERM); return;
  case NOT_THERE: give(&program, SECCOMP_RET_ERRNO | ENOSYS); return;
  case ASK_CLONE:
    load(&program, LOW_WORD(0));
    emit(&program, BPF_JMP | BPF_JSET | BPF_K, NAMESPACE_FLAGS, 0, 1);
    give(&program, SECCOMP_RET_ERRNO | EPERM);
    give(&program, SECCOMP_RET_ALLOW);
    return;
  case ASK_PERSONALITY:
    load(&program, LOW_WORD(0));
    ask_equal(personalities, sizeof personalities / sizeof *personalities);
    return;
  case ASK_SOCKET:
    load(&program, LOW_WORD(0));
    emit(&program, BPF_JMP | BPF_JGE | BPF_K, 12, 1, 0);
    give(&program, SECCOMP_RET_ALLOW);
    ask_equal(families, sizeof families / sizeof *families);
    return;
  }
}

struct run {
  uint32_t first;
  enum answer answer;
};

// A tree of comparisons over runs; a long jump each, as conditional ones reach 255 instructions at most.
static void search(const struct run *runs, unsigned count) {
  if (count == 1) {
    give_answer(runs[0].answer);
    return;
  }
  unsigned half = count / 2;
  emit(&program, BPF_JMP | BPF_JGE | BPF_K, runs[half].first, 0, 1);
  unsigned jump = program.length;
  emit(&program, BPF_JMP | BPF_JA, 0, 0, 0);
  search(runs, half);
  program.code[jump].k = program.length - jump - 1;
  search(runs + half, count - half);
}

static void put(enum answer *answers, const char *number, enum answer answer) {
  if (number[0] < '0' || number[0] > '9') return;
  unsigned long call = strtoul(number, NULL, 10);
  if (call < CALL_LIMIT) answers[call] = answer;
}

static void compile_table(const struct call_table *calls) {
  enum answer answers[CALL_LIMIT] = {DENY};
  struct run runs[CALL_LIMIT + 1];
  unsigned count = 0, last = 0;
  for (unsigned i = 0; i < calls->count; i++) put(answers, calls->allowed[i], ALLOW);
  put(answers, calls->clone, ASK_CLONE);
  put(answers, calls->personality, ASK_PERSONALITY);
  put(answers, calls->socket, ASK_SOCKET);
  // Its flags lie in memory, where a filter cannot look: the C library falls back to clone().
  put(answers, calls->clone3, NOT_THERE);
  for (unsigned i = 0; i < CALL_LIMIT; i++)
    if (answers[i] != DENY) last = i;
  // Numbers newer than the policy are answered like on an older kernel, so that programs use what came before.
  for (unsigned i = last + 1; i < CALL_LIMIT; i++) answers[i] = NOT_THERE;
  for (unsigned i = 0; i < CALL_LIMIT; i++)
    if (i == 0 || answers[i] != answers[i - 1]) runs[count++] = (struct run){i, answers[i]};
  search(runs, count);
}

struct sock_fprog compile_seccomp(void) {
  const struct call_table *tables[] = {
      &native_calls,
#if defined(__x86_64__)
      &i386_calls,
#endif
  };
  program.length = 0;
  load(&program, offsetof(struct seccomp_data, arch));
  for (unsigned i = 0; i < sizeof tables / sizeof *tables; i++) {
    emit(&program, BPF_JMP | BPF_JEQ | BPF_K, tables[i]->audit_arch, 1, 0);
    unsigned jump = program.length;
    emit(&program, BPF_JMP | BPF_JA, 0, 0, 0);
    load(&program, offsetof(struct seccomp_data, nr));
    // The x32 numbers (bit 30) lie above the limit, so they are not there either.
    compile_table(tables[i]);
    program.code[jump].k = program.length - jump - 1;
  }
  give(&program, SECCOMP_RET_KILL_PROCESS);
  return finished(&program);
}
