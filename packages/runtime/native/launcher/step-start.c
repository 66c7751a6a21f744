// How a step is begun: its streams, and the process in namespaces, or its keeper, that becomes it.
#define _GNU_SOURCE
#include "step-start.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../common/kernel.h"
#include "../network/pool.h"
#include "chroot-step.h"
#include "limits.h"
#include "step.h"
#include "../supervisor/supervisor.h"
#include "supervision.h"

// Another executor may sweep a cgroup before the step is in it.
#define CGROUP_ATTEMPTS 64

static pid_t clone_once(struct executor_config *config, const struct step_spec *step, struct running *entry, const struct step_cgroups *cgroups, struct step_descriptors fds) {
  struct kernel_clone_args args = {
      .flags = K_CLONE_PIDFD | K_CLONE_NEWNS | K_CLONE_NEWPID | K_CLONE_NEWIPC | K_CLONE_NEWUTS | K_CLONE_NEWCGROUP |
               (step->flags & STEP_NETWORK_NONE ? K_CLONE_NEWNET : 0) | (cgroups && cgroups->directory >= 0 ? K_CLONE_INTO_CGROUP : 0),
      .pidfd = (uint64_t)(uintptr_t)&entry->pidfd,
      .exit_signal = SIGCHLD,
      .cgroup = cgroups && cgroups->directory >= 0 ? (uint64_t)cgroups->directory : 0,
  };
  pid_t pid = k_clone3(&args);
  if (pid == 0) run_step(config, step, cgroups, entry->id, fds);
  return pid;
}

static pid_t clone_limited(struct executor_config *config, const struct step_spec *step, struct running *entry, struct step_descriptors fds, struct limit_failure *failure) {
  struct step_cgroups *cgroups = malloc(sizeof *cgroups);
  if (!cgroups) _exit(70);
  pid_t pid = -1;
  for (int attempt = 0; attempt < CGROUP_ATTEMPTS && pid < 0; attempt++) {
    bool made = make_step_cgroups(config, step, cgroups, failure);
    if (made) pid = clone_once(config, step, entry, cgroups, fds);
    int error = errno;
    if (pid < 0) remove_step_cgroups(cgroups);
    errno = made ? error : failure->error;
    if (!made || (pid < 0 && error != ENODEV && error != ENOENT)) break;
  }
  entry->cgroups = cgroups;
  return pid;
}

static pid_t clone_step(struct executor_config *config, const struct step_spec *step, struct running *entry, struct step_descriptors fds, struct limit_failure *failure) {
  // What limits all steps together is there before the first.
  if (config->settled >= 0) {
    (void)!read(config->settled, &(char){0}, 1);
    close(config->settled);
    config->settled = -1;
  }
  return has_own_cgroups(config, step) ? clone_limited(config, step, entry, fds, failure) : clone_once(config, step, entry, NULL, fds);
}

// Without namespaces: a process of ours keeps the step, and outlives this one for as long as it takes to put things back.
static pid_t fork_keeper(struct executor_config *config, const struct step_spec *step, struct running *entry, struct step_descriptors fds) {
  int life[2];
  if (pipe2(life, O_CLOEXEC) < 0) return -1;
  pid_t pid = fork();
  if (pid == 0) run_chroot_step(config, step, entry->id, fds, life[0]);
  close(life[0]);
  if (pid < 0) close(life[1]);
  else entry->life = life[1];
  return pid;
}

// Standard input; and for a terminal a socket in the place of standard output, through which its master comes.
static int open_streams(const struct step_spec *step, int in[2], int out[2]) {
  bool terminal = step->flags & STEP_TERMINAL;
  int made = terminal ? socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, out) : pipe2(out, O_CLOEXEC);
  if (made < 0 || fcntl(out[0], F_SETFL, O_NONBLOCK) < 0) return errno;
  if (terminal && fcntl(out[1], F_SETFL, 0) < 0) return errno;
  if (terminal || !(step->flags & STEP_INPUT)) return 0;
  return pipe2(in, O_CLOEXEC) < 0 || fcntl(in[1], F_SETFL, O_NONBLOCK) < 0 ? errno : 0;
}

int start_step(struct executor_config *config, const struct step_spec *step, struct running *entry, struct limit_failure *failure) {
  int pipes[3][2] = {{-1, -1}, {-1, -1}, {-1, -1}};
  int in[2] = {-1, -1};
  pid_t pid = -1;
  int sockets[2] = {-1, -1};
  if (step->flags & STEP_NETWORK_POOL && !(entry->network = take_network())) {
    *failure = (struct limit_failure){.error = errno, .operation = "make the step's network"};
    return failure->error;
  }
  int error = open_streams(step, in, pipes[0]);
  if (!error && needs_supervisor(config, step) && socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) < 0) error = errno;
  for (int i = 1; i < 3 && !error; i++)
    // The status pipe keeps messages apart (O_DIRECT).
    if (pipe2(pipes[i], O_CLOEXEC | (i == 2 ? O_DIRECT : 0)) < 0 || fcntl(pipes[i][0], F_SETFL, O_NONBLOCK | (i == 2 ? O_DIRECT : 0)) < 0) error = errno;
  if (!error) {
    struct step_descriptors fds = {in[0], pipes[0][1], pipes[1][1], pipes[2][1], sockets[0], entry->network ? entry->network->inside.namespace : -1};
    pid = config->chroot ? fork_keeper(config, step, entry, fds) : clone_step(config, step, entry, fds, failure);
    if (pid < 0) error = errno;
    else if (sockets[1] >= 0) entry->supervisor = start_supervisor(config, step, sockets[0], sockets[1]);
  }
  // Without a supervisor the step sees the socket's end, and fails.
  for (int i = 0; i < 2; i++)
    if (sockets[i] >= 0) close(sockets[i]);
  for (int i = 0; i < 3; i++) {
    if (pipes[i][1] >= 0) close(pipes[i][1]);
    if (error && pipes[i][0] >= 0) close(pipes[i][0]);
  }
  if (in[0] >= 0) close(in[0]);
  if (error && in[1] >= 0) close(in[1]);
  entry->pid = pid;
  entry->input = (struct step_input){.fd = in[1], .terminal = step->flags & STEP_TERMINAL};
  entry->streams[0] = pipes[0][0];
  entry->streams[1] = pipes[1][0];
  entry->status = pipes[2][0];
  return error;
}
