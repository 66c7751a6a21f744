// keeper ─ supervisor ─ sentinel ─ the command: who does what, and why there are so many, is told in ../README.md.
#define _GNU_SOURCE
#include "chroot-step.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../common/kernel.h"
#include "../common/remove-tree.h"
#include "chroot-guard.h"
#include "chroot-root.h"
#include "failure.h"
#include "limits.h"
#include "moved-tree.h"
#include "moved-undo.h"
#include "process.h"
#include "protocol.h"
#include "step-filter.h"

enum { STATUS_PIPE = 3, LIFE = 4, INPUT = 5 };

// Output and status at their places, and nothing else of the executor.
static void connect_keeper(const struct step_spec *step, struct step_descriptors fds, int life) {
  int *moved[] = {&fds.out, &fds.err, &fds.status, &life, &fds.in};
  for (size_t i = 0; i < sizeof moved / sizeof *moved; i++)
    if (*moved[i] >= 0 && (*moved[i] = fcntl(*moved[i], F_DUPFD_CLOEXEC, 16)) < 0) step_fail(errno, "connect the streams");
  if (fchown(fds.out, step->uid, step->gid) < 0 || fchown(fds.err, step->uid, step->gid) < 0) step_fail(errno, "set the owner of the output");
  if (dup2(fds.out, 1) < 0 || dup2(fds.err, 2) < 0 || dup3(fds.status, STATUS_PIPE, O_CLOEXEC) < 0 || dup3(life, LIFE, O_CLOEXEC) < 0) step_fail(errno, "connect the streams");
  report_failures_to(STATUS_PIPE);
  if (fds.in >= 0 && (fchown(fds.in, step->uid, step->gid) < 0 || dup3(fds.in, INPUT, O_CLOEXEC) < 0)) step_fail(errno, "connect the streams");
  if (k_close_range(fds.in >= 0 ? INPUT + 1 : LIFE + 1, ~0u, 0) < 0) step_fail(errno, "close the executor's descriptors");
}

static int open_input(const struct moved_tree *tree) {
  int fd = k_openat2(tree->root, "dev/null", O_RDONLY, K_RESOLVE_BENEATH | K_RESOLVE_NO_SYMLINKS);
  if (fd < 0) step_fail(errno, "open /dev/null");
  return fd;
}

// Waits for all that is below; ends it when the executor does, or asks for it.
static void wait_for_end(int signals, int order) {
  for (;;) {
    struct pollfd polled[] = {{.fd = order >= 0 ? LIFE : -1, .events = POLLIN}, {.fd = signals, .events = POLLIN}};
    if (poll(polled, 2, -1) < 0) continue;
    struct signalfd_siginfo signal;
    bool asked = polled[0].revents != 0;
    while (read(signals, &signal, sizeof signal) == sizeof signal) asked |= signal.ssi_signo == SIGTERM;
    if (asked && order >= 0) close(order), order = -1;
    pid_t ended;
    while ((ended = waitpid(-1, NULL, WNOHANG)) > 0) continue;
    if (ended < 0 && errno == ECHILD) return;
  }
}

static int block_signals(void) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGCHLD);
  sigaddset(&set, SIGTERM);
  sigprocmask(SIG_BLOCK, &set, NULL);
  int signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
  if (signals < 0) step_fail(errno, "signalfd");
  return signals;
}

_Noreturn static void report_end(const struct executor_config *config, uint32_t id, int directory, int result) {
  char what[PATH_MAX], path[PATH_MAX + 32];
  int status;
  bool known = read(result, &status, sizeof status) == (ssize_t)sizeof status;
  if (!undo_moved_tree(directory, what)) step_fail(errno, "take /%s back from the step's root", what);
  snprintf(path, sizeof path, "%s/step-%u", config->state, id);
  remove_tree(path);
  // Without one the failure was told already. Else this process ends as the command did.
  if (!known) _exit(127);
  if (!WIFSIGNALED(status)) _exit(WEXITSTATUS(status));
  sigset_t none;
  sigemptyset(&none);
  signal(WTERMSIG(status), SIG_DFL);
  sigprocmask(SIG_SETMASK, &none, NULL);
  kill(getpid(), WTERMSIG(status));
  _exit(128 + WTERMSIG(status));
}

void run_chroot_step(const struct executor_config *shared, const struct step_spec *step, uint32_t id, struct step_descriptors fds, int life) {
  report_failures_to(fds.status);
  umask(0);
  if (!step->directory) step_fail(EOPNOTSUPP, "mount the step's root: there are no mounts in isolation chroot");
  if (step->flags & STEP_INSECURE) step_fail(EOPNOTSUPP, "run an insecure step: isolation chroot has nothing to take away from it");
  if (step->limits.any) step_fail(EOPNOTSUPP, "limit steps: isolation chroot makes no cgroups");
  if (step->flags & STEP_TERMINAL) step_fail(EOPNOTSUPP, "make a terminal: isolation chroot has none");
  connect_keeper(step, fds, life);
  int signals = block_signals();
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  prctl(PR_SET_NAME, "keeper");
  struct moved_tree tree;
  int directory = make_moved_directory(shared->state, id);
  begin_moved_tree(&tree, directory, step->directory);
  fill_chroot_root(&tree, step);
  blame_failures_on(STATUS_PROCESS_FAILED);
  int cwd = open_working_directory(tree.root, step);
  blame_failures_on(STATUS_SETUP_FAILED);
  struct guarded guarded = {.config = shared, .step = step, .root = tree.root, .cwd = cwd, .input = step->flags & STEP_INPUT ? INPUT : open_input(&tree)};
  int order[2], result[2];
  if (pipe2(order, O_CLOEXEC) < 0 || pipe2(result, O_CLOEXEC | O_DIRECT) < 0) step_fail(errno, "pipe");
  guarded.order = order[0];
  guarded.result = result[1];
  guarded.lock = directory;
  pid_t supervisor = fork();
  if (supervisor < 0) step_fail(errno, "fork");
  if (supervisor == 0) {
    // Its end is what ends the step: one writer.
    close(order[1]);
    close(result[0]);
    close(LIFE);
    close(tree.journal);
    close(signals);
    guard_step(&guarded);
  }
  explicit_bzero(shared->requests->bytes, shared->requests->capacity);
  close(order[0]);
  close(result[1]);
  close(tree.root);
  close(cwd);
  // The step alone reads, so that a writer sees its end.
  close(guarded.input);
  for (int fd = 0; fd < STATUS_PIPE; fd++) close(fd);
  fcntl(result[0], F_SETFL, O_NONBLOCK);
  wait_for_end(signals, order[1]);
  report_end(shared, id, directory, result[0]);
}
