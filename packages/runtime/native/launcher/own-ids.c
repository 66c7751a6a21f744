// A user namespace of the step's own, inside the executor's. Under a shifted map that one holds the caller's ids as well. And
// where the visible /proc shows other steps, the kernel asks whoever looks into them (memory, environment, root) for
// privilege in their namespace, though all run as the same users.
#define _GNU_SOURCE
#include "own-ids.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "failure.h"

int open_own_process(void) { return open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC); }

uint32_t kept_id(uint32_t id, uint32_t own) { return id == 0 ? own : id <= own ? id - 1 : id; }

// Inside, outside, how many.
static int print_map(char *text, size_t size, unsigned count, const uint32_t *own) {
  if (!own) return snprintf(text, size, "0 0 %u\n", count);
  unsigned below = *own < count - 1 ? *own : count - 1;
  int length = snprintf(text, size, "%u 0 1\n", *own);
  if (below > 0) length += snprintf(text + length, size - (size_t)length, "0 1 %u\n", below);
  if (count > below + 1) length += snprintf(text + length, size - (size_t)length, "%u %u %u\n", below + 1, below + 1, count - below - 1);
  return length;
}

static bool write_map(int process, const char *name, unsigned count, const uint32_t *own) {
  char text[128];
  int length = print_map(text, sizeof text, count, own);
  int fd = openat(process, name, O_WRONLY | O_CLOEXEC);
  bool done = fd >= 0 && write(fd, text, (size_t)length) == length;
  if (fd >= 0) close(fd);
  return done;
}

// The map must be written from the namespace above, by somebody who stays there.
_Noreturn static void write_maps_of(const struct executor_config *config, const struct step_spec *step, int process, int ready) {
  char go;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (read(ready, &go, 1) != 1) _exit(0);
  bool done = write_map(process, "uid_map", config->uid_count, step->keeps_ids ? &step->own_uid : NULL) &&
              write_map(process, "gid_map", config->gid_count, step->keeps_ids ? &step->own_gid : NULL);
  _exit(done ? 0 : errno);
}

void take_own_ids(const struct executor_config *config, const struct step_spec *step, int own_process) {
  int ready[2];
  if (own_process < 0) step_fail(ENOENT, "open /proc/self");
  if (pipe2(ready, O_CLOEXEC) < 0) step_fail(errno, "pipe");
  pid_t writer = fork();
  if (writer < 0) step_fail(errno, "fork");
  if (writer == 0) {
    close(ready[1]);
    write_maps_of(config, step, own_process, ready[0]);
  }
  if (unshare(CLONE_NEWUSER) < 0) step_fail(errno, "take a user namespace for the step");
  // Else these files belong to root outside. Nobody can use the moment: he would have to be of the namespace above.
  prctl(PR_SET_DUMPABLE, 1);
  (void)!write(ready[1], &(char){0}, 1);
  int status = 0;
  if (waitpid(writer, &status, 0) < 0) step_fail(errno, "wait for the ids of the step");
  prctl(PR_SET_DUMPABLE, 0);
  if (status != 0) step_fail(WIFEXITED(status) ? WEXITSTATUS(status) : EINTR, "map the ids of the step");
  close(ready[0]);
  close(ready[1]);
}
