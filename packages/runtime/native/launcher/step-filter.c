#define _GNU_SOURCE
#include "step-filter.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
#define NATIVE_ARCH AUDIT_ARCH_X86_64
#else
#define NATIVE_ARCH AUDIT_ARCH_AARCH64
#endif

enum { NR_openat2_call = 437, NR_pidfd_open_call = 434, NR_sched_setattr_call = SYS_sched_setattr };
enum { PROGRAM_LIMIT = 1024, OBJECT_LIMIT = 64 };
#define LOW_WORD(argument) (offsetof(struct seccomp_data, args) + 8 * (argument))
// Character device 10:200, as mknod takes it.
#define TUN_DEVICE 0x0ac8u
#define TO_ASK SECCOMP_RET_USER_NOTIF
#define REFUSED(error) (SECCOMP_RET_ERRNO | (error))

static struct sock_filter program[PROGRAM_LIMIT];
static unsigned length;

static void emit(uint16_t code, uint32_t value, uint8_t if_true, uint8_t if_false) {
  if (length == PROGRAM_LIMIT) abort();
  program[length++] = (struct sock_filter){code, if_true, if_false, value};
}
static void load(uint32_t offset) { emit(BPF_LD | BPF_W | BPF_ABS, offset, 0, 0); }
static void give(uint32_t action) { emit(BPF_RET | BPF_K, action, 0, 0); }

// A block that ends in an answer, for one number; `begin` is given back to `end`.
static unsigned begin(long number) {
  emit(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)number, 0, 0);
  return length - 1;
}
static void end(unsigned at) { program[at].jf = (uint8_t)(length - at - 1); }

static void always(long number, uint32_t action) {
  unsigned at = begin(number);
  give(action);
  end(at);
}

// One answer where an argument has a value, another elsewhere.
static void by_argument(long number, unsigned argument, uint32_t value, uint32_t equal, uint32_t other) {
  unsigned at = begin(number);
  load(LOW_WORD(argument));
  emit(BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1);
  give(equal);
  give(other);
  end(at);
}

// Priorities: of oneself; of a process or a group by its number, which is asked; of a user's whole lot, which is refused.
static void by_target(long number, uint32_t user) {
  unsigned at = begin(number);
  load(LOW_WORD(0));
  emit(BPF_JMP | BPF_JEQ | BPF_K, user, 0, 1);
  give(REFUSED(EPERM));
  load(LOW_WORD(1));
  emit(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1);
  give(SECCOMP_RET_ALLOW);
  give(TO_ASK);
  end(at);
}

static void ask_files(void) {
  static const long relative[] = {SYS_openat, NR_openat2_call, SYS_readlinkat};
  // A path is taken from the working directory or from the root; below a descriptor nothing of /proc lies.
  for (size_t i = 0; i < sizeof relative / sizeof *relative; i++) by_argument(relative[i], 0, (uint32_t)AT_FDCWD, TO_ASK, SECCOMP_RET_ALLOW);
  always(SYS_statfs, TO_ASK);
#if defined(__x86_64__)
  always(SYS_open, TO_ASK);
  always(SYS_readlink, TO_ASK);
#endif
}

static void ask_processes(bool signals) {
  always(SYS_clone, TO_ASK);
#if defined(__x86_64__)
  always(SYS_fork, TO_ASK);
  always(SYS_vfork, TO_ASK);
#endif
  static const long ones[] = {SYS_prlimit64, SYS_sched_setaffinity, SYS_sched_setscheduler, SYS_sched_setparam, NR_sched_setattr_call};
  for (size_t i = 0; i < sizeof ones / sizeof *ones; i++) by_argument(ones[i], 0, 0, SECCOMP_RET_ALLOW, TO_ASK);
  by_target(SYS_setpriority, 2);
  by_target(SYS_ioprio_set, 3);
  if (!signals) return;
  static const long signaling[] = {SYS_kill, SYS_tkill, SYS_tgkill, SYS_rt_sigqueueinfo, SYS_rt_tgsigqueueinfo, NR_pidfd_open_call};
  for (size_t i = 0; i < sizeof signaling / sizeof *signaling; i++) by_argument(signaling[i], 0, 0, SECCOMP_RET_ALLOW, TO_ASK);
}

// Shared memory, semaphores and queues that were there before the step are others': root may use what root made.
static void refuse_objects(const char *list, const long *calls, size_t count) {
  FILE *file = fopen(list, "re");
  char line[512];
  uint32_t ids[OBJECT_LIMIT];
  unsigned known = 0;
  while (file && fgets(line, sizeof line, file)) {
    long key, id;
    if (sscanf(line, "%ld %ld", &key, &id) == 2 && known++ < OBJECT_LIMIT) ids[known - 1] = (uint32_t)id;
  }
  if (file) fclose(file);
  for (size_t i = 0; i < count && known > 0; i++) {
    unsigned at = begin(calls[i]);
    load(LOW_WORD(0));
    for (unsigned j = 0; j < known && known <= OBJECT_LIMIT; j++) {
      emit(BPF_JMP | BPF_JEQ | BPF_K, ids[j], 0, 1);
      give(REFUSED(EPERM));
    }
    // More than can be named here: none is opened.
    give(known > OBJECT_LIMIT ? REFUSED(EPERM) : SECCOMP_RET_ALLOW);
    end(at);
  }
}

static void refuse_others(const struct step_filter *wanted) {
#if defined(__x86_64__)
  by_argument(SYS_mknod, 2, TUN_DEVICE, REFUSED(EPERM), SECCOMP_RET_ALLOW);
#endif
  by_argument(SYS_mknodat, 3, TUN_DEVICE, REFUSED(EPERM), SECCOMP_RET_ALLOW);
  if (wanted->no_network) by_argument(SYS_socket, 0, AF_UNIX, SECCOMP_RET_ALLOW, REFUSED(EAFNOSUPPORT));
}

void compile_step_filter(const struct step_filter *wanted) {
  static const long memory[] = {SYS_shmat, SYS_shmctl}, semaphores[] = {SYS_semop, SYS_semtimedop, SYS_semctl}, queues[] = {SYS_msgsnd, SYS_msgrcv, SYS_msgctl};
  length = 0;
  load(offsetof(struct seccomp_data, arch));
  emit(BPF_JMP | BPF_JEQ | BPF_K, NATIVE_ARCH, 1, 0);
  // Programs of another architecture would make calls that nobody looks at.
  give(SECCOMP_RET_KILL_PROCESS);
  load(offsetof(struct seccomp_data, nr));
  ask_files();
  ask_processes(wanted->signals_asked);
  refuse_objects("/proc/sysvipc/shm", memory, 2);
  refuse_objects("/proc/sysvipc/sem", semaphores, 3);
  refuse_objects("/proc/sysvipc/msg", queues, 3);
  refuse_others(wanted);
  give(SECCOMP_RET_ALLOW);
}

int install_step_filter(void) {
  struct sock_fprog filter = {.len = (unsigned short)length, .filter = program};
  return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &filter);
}
