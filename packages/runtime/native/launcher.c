// ts-oci-launcher: makes the namespaces of an executor and stays outside as its parent.
//   ts-oci-launcher executor STATE [trees AT] MAP…   serves the socket that is descriptor 3; descriptor 4 is for file jobs, 5 a
//                                            file system that is attached at AT, for the executor and what it starts
//   ts-oci-launcher sweep STATE              takes back and removes what executors left there that did not end in order
// MAP: identity | chroot | single UID GID | helper NEWUIDMAP NEWGIDMAP UID GID SUBUID COUNT SUBGID COUNT
//      | shifted UID COUNT REST GID COUNT REST    ids 0 … COUNT - 1 are UID …; behind them lie 0 … REST - 1
// The order of the system calls and the reason for it: README.md.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "launcher/helpers.h"
#include "launcher/namespaces.h"

#define SEALED_NAME "ts-oci-executor"
#define MEMFD_CLOEXEC 1
#define MEMFD_ALLOW_SEALING 2
#define MEMFD_EXEC 16
#define SEAL_EVERYTHING 15

// Runs on from a sealed copy in memory: a step that gets hold of /proc/PID/exe must not reach the file on the disk
// (CVE-2019-5736). Where that is forbidden (vm.memfd_noexec) the file itself runs; it is not dumpable either way.
static void run_from_sealed_copy(char **argv) {
  if (!strcmp(argv[0], SEALED_NAME)) return;
  int self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  struct stat status;
  if (self < 0) return;
  // Kernels before 6.3 do not know MEMFD_EXEC.
  int copy = (int)syscall(SYS_memfd_create, SEALED_NAME, MEMFD_CLOEXEC | MEMFD_ALLOW_SEALING | MEMFD_EXEC);
  if (copy < 0) copy = (int)syscall(SYS_memfd_create, SEALED_NAME, MEMFD_CLOEXEC | MEMFD_ALLOW_SEALING);
  off_t done = 0;
  bool whole = copy >= 0 && fstat(self, &status) == 0;
  while (whole && done < status.st_size) whole = sendfile(copy, self, &done, (size_t)(status.st_size - done)) > 0;
  close(self);
  if (whole && fcntl(copy, F_ADD_SEALS, SEAL_EVERYTHING) == 0) {
    char *own_name = argv[0];
    argv[0] = (char *)SEALED_NAME;
    syscall(SYS_execveat, copy, "", argv, environ, AT_EMPTY_PATH);
    argv[0] = own_name;
  }
  if (copy >= 0) close(copy);
}

int main(int argc, char **argv) {
  // First of all: whoever spawned us may die at any moment.
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  // A terminal's Ctrl-C goes to the parent alone, which ends us in order; and no step has a terminal to write to.
  setsid();
  if (argc == 3 && !strcmp(argv[1], "sweep")) return sweep_executors(argv[2], NULL), 0;
  if (argc < 4) {
    fprintf(stderr, "usage: ts-oci-launcher executor STATE MAP... | sweep STATE\n");
    return 64;
  }
  run_from_sealed_copy(argv);
  prctl(PR_SET_NAME, SEALED_NAME);
  return launch(argc, argv);
}
