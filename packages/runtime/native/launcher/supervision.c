#define _GNU_SOURCE
#include "supervision.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "../common/kernel.h"
#include "../supervisor/credentials.h"
#include "../supervisor/emulate.h"
#include "../supervisor/supervisor.h"
#include "capabilities.h"
#include "failure.h"
#include "protocol.h"

// An insecure step has no filter, as in Docker, unless it could not have its owners otherwise.
bool needs_supervisor(const struct executor_config *config, const struct step_spec *step) {
  if (step->keeps_ids) return false;
  return config->single_id || (config->rootless && !(step->flags & STEP_INSECURE));
}

static enum emulated kind_of(const struct executor_config *config) { return config->single_id ? EMULATE_OWNERS : EMULATE_DEVICES; }

// Attached nowhere. Where the machine's is partly covered the kernel gives no new one: that one numbers as its own namespace does.
static int open_proc(bool *outer) {
  int context = k_fsopen("proc"), proc = -1;
  if (context >= 0 && k_fsconfig(context, K_FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0) proc = k_fsmount(context, 0);
  if (context >= 0) close(context);
  *outer = proc < 0;
  return proc < 0 ? open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC) : proc;
}

void prepare_supervision(struct executor_config *config) {
  if (!config->rootless) return;
  emulation_filter(kind_of(config));
  config->proc = open_proc(&config->outer_proc);
}

static void first_credentials(const struct step_spec *step, struct credentials *first) {
  *first = (struct credentials){step->uid, step->uid, step->uid, step->uid, step->gid, step->gid, step->gid, step->gid};
  for (size_t i = 0; i < step->additional_gid_count && i < GROUP_LIMIT; i++) first->groups[first->group_count++] = step->additional_gids[i];
  sort_groups(first);
}

pid_t start_supervisor(const struct executor_config *config, const struct step_spec *step, int theirs, int socket) {
  static struct emulation_start start;
  pid_t pid = fork();
  if (pid != 0) return pid;
  // Else the end of the step would not be seen here.
  close(theirs);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  // A request may hold secrets.
  first_credentials(step, &start.first);
  explicit_bzero(config->requests->bytes, config->requests->capacity);
  start.what = kind_of(config);
  start.socket = socket;
  start.proc = config->proc;
  start.outer_proc = config->outer_proc;
  start.policy = step->flags & STEP_INSECURE ? NULL : &config->filter;
  start.capabilities = capabilities_of(step);
  emulate(&start);
}

void come_under_supervision(const struct executor_config *config, int socket) {
  int listener = install_listener(emulation_filter(kind_of(config)));
  // A chain of filters has one listener. Devices can be done without; owners cannot.
  if (listener < 0 && errno == EBUSY && !config->single_id) return;
  if (listener < 0)
    step_fail(errno, errno == EBUSY ? "one user id: the calls of this build are watched already, as in a step of another build (subordinate ids make a build inside possible)" : "seccomp: watch calls");
  // Nobody else can open it: this process does not let itself be looked into.
  int mounts = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
  if (mounts < 0 || send_descriptor(socket, mounts) < 0 || hand_listener_over(socket, listener) < 0) step_fail(errno, "the supervisor of the step");
  close(mounts);
  close(listener);
  close(socket);
}
