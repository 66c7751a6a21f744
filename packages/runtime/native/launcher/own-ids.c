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

static bool write_map(int process, const char *name, unsigned count) {
  char text[32];
  int length = snprintf(text, sizeof text, "0 0 %u\n", count);
  int fd = openat(process, name, O_WRONLY | O_CLOEXEC);
  bool done = fd >= 0 && write(fd, text, (size_t)length) == length;
  if (fd >= 0) close(fd);
  return done;
}

// The map must be written from the namespace above, by somebody who stays there.
_Noreturn static void write_maps_of(const struct executor_config *config, int process, int ready) {
  char go;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (read(ready, &go, 1) != 1) _exit(0);
  bool done = write_map(process, "uid_map", config->uid_count) && write_map(process, "gid_map", config->gid_count);
  _exit(done ? 0 : errno);
}

void take_own_ids(const struct executor_config *config, int own_process) {
  int ready[2];
  if (own_process < 0) step_fail(ENOENT, "open /proc/self");
  if (pipe2(ready, O_CLOEXEC) < 0) step_fail(errno, "pipe");
  pid_t writer = fork();
  if (writer < 0) step_fail(errno, "fork");
  if (writer == 0) {
    close(ready[1]);
    write_maps_of(config, own_process, ready[0]);
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
