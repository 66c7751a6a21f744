#define _GNU_SOURCE
#include "step-filter.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "../common/bpf-program.h"

enum { PROGRAM_LIMIT = 1024, OBJECT_LIMIT = 64 };
// Character device 10:200, as mknod takes it.
#define TUN_DEVICE 0x0ac8u
#define IOPRIO_OF_USER 3
#define REFUSED(error) (SECCOMP_RET_ERRNO | (error))

static struct sock_filter instructions[PROGRAM_LIMIT];
static struct bpf_program program = {instructions, PROGRAM_LIMIT, 0};

// A block that ends in an answer, for one number; `begin` is given back to `end`.
static unsigned begin(long number) {
  emit(&program, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)number, 0, 0);
  return program.length - 1;
}
static void end(unsigned at) { program.code[at].jf = (uint8_t)(program.length - at - 1); }

// Refused where the low half of an argument is, or is not, a value.
static void refuse_by_argument(long number, unsigned argument, uint32_t value, bool equal, int error) {
  unsigned at = begin(number);
  load(&program, LOW_WORD(argument));
  emit(&program, BPF_JMP | BPF_JEQ | BPF_K, value, equal ? 0 : 1, equal ? 1 : 0);
  give(&program, REFUSED(error));
  give(&program, SECCOMP_RET_ALLOW);
  end(at);
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
    load(&program, LOW_WORD(0));
    for (unsigned j = 0; j < known && known <= OBJECT_LIMIT; j++) {
      emit(&program, BPF_JMP | BPF_JEQ | BPF_K, ids[j], 0, 1);
      give(&program, REFUSED(EPERM));
    }
    // More than can be named here: none is opened.
    give(&program, known > OBJECT_LIMIT ? REFUSED(EPERM) : SECCOMP_RET_ALLOW);
    end(at);
  }
}

void compile_step_filter(bool network) {
  static const long memory[] = {SYS_shmat, SYS_shmctl}, semaphores[] = {SYS_semop, SYS_semtimedop, SYS_semctl}, queues[] = {SYS_msgsnd, SYS_msgrcv, SYS_msgctl};
  program.length = 0;
  load(&program, offsetof(struct seccomp_data, arch));
  emit(&program, BPF_JMP | BPF_JEQ | BPF_K, NATIVE_ARCH, 1, 0);
  // Programs of another architecture would make calls that nobody looks at.
  give(&program, SECCOMP_RET_KILL_PROCESS);
  load(&program, offsetof(struct seccomp_data, nr));
  refuse_objects("/proc/sysvipc/shm", memory, 2);
  refuse_objects("/proc/sysvipc/sem", semaphores, 3);
  refuse_objects("/proc/sysvipc/msg", queues, 3);
  // The priorities of all that a user runs: root is the builder as well.
  refuse_by_argument(SYS_setpriority, 0, PRIO_USER, true, EPERM);
  refuse_by_argument(SYS_ioprio_set, 0, IOPRIO_OF_USER, true, EPERM);
#if defined(__x86_64__)
  refuse_by_argument(SYS_mknod, 2, TUN_DEVICE, true, EPERM);
#endif
  refuse_by_argument(SYS_mknodat, 3, TUN_DEVICE, true, EPERM);
  if (!network) refuse_by_argument(SYS_socket, 0, AF_UNIX, false, EAFNOSUPPORT);
  give(&program, SECCOMP_RET_ALLOW);
}

bool install_step_filter(void) {
  struct sock_fprog filter = finished(&program);
  return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter, 0, 0) == 0;
}
