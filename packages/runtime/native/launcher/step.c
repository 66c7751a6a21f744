// One step, from the clone to the exec. The order of the calls and the reason for it: ../README.md.
#define _GNU_SOURCE
#include "step.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/keyctl.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../common/kernel.h"
#include "enter-root.h"
#include "failure.h"
#include "identity.h"
#include "limits.h"
#include "own-ids.h"
#include "process.h"
#include "protocol.h"
#include "rootfs.h"
#include "terminal.h"

// The status pipe is the first descriptor of ours that a step keeps until its exec, the socket to its supervisor the second.
enum { STATUS_PIPE = 3, SUPERVISOR = 4 };

// An insecure step opens every device: it leaves the cgroup that filters them.
static void leave_device_cgroup(const struct executor_config *config) {
  if (config->outer_procs < 0 || write(config->outer_procs, "0", 1) == 1) return;
  step_fail(errno, "leave the cgroup that filters devices");
}

static void bring_loopback_up(void) {
  struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request) < 0) step_fail(errno, "bring up lo");
  close(fd);
}

// The executor's descriptors (its directories, a cgroup) are closed before a path that the step controls is looked up: as
// root of its namespace, a link to /proc/self/fd/N would give them to the step.
static void connect_output(const struct executor_config *config, const struct step_spec *step, struct step_descriptors fds) {
  // Else `echo > /dev/stdout` fails for a user who is not root.
  bool is_piped = !(step->flags & STEP_TERMINAL);
  if (!config->single_id && is_piped && (fchown(fds.out, step->uid, step->gid) < 0 || fchown(fds.err, step->uid, step->gid) < 0))
    step_fail(errno, "set the owner of the output");
  if (!config->single_id && fds.in >= 0 && fchown(fds.in, step->uid, step->gid) < 0) step_fail(errno, "set the owner of the input");
  if (fds.in >= 0 && dup2(fds.in, 0) < 0) step_fail(errno, "connect the streams");
  if (dup2(fds.out, 1) < 0 || dup2(fds.err, 2) < 0) step_fail(errno, "connect the streams");
  // The executor's control socket is descriptor 3, so the pipe has another number.
  if (dup3(fds.status, STATUS_PIPE, O_CLOEXEC) < 0) step_fail(errno, "connect the streams");
  report_failures_to(STATUS_PIPE);
  if (fds.supervisor >= 0 && fds.supervisor != SUPERVISOR && dup3(fds.supervisor, SUPERVISOR, O_CLOEXEC) < 0) step_fail(errno, "connect the streams");
  if (k_close_range(SUPERVISOR + (fds.supervisor >= 0), ~0u, 0) < 0) step_fail(errno, "close the executor's descriptors");
}

static void connect_input(const struct executor_config *config, const struct step_spec *step, bool supervised) {
  if (!(step->flags & (STEP_INPUT | STEP_TERMINAL)) && dup2(config->input, 0) < 0) step_fail(errno, "connect the streams");
  if (k_close_range(SUPERVISOR + supervised, ~0u, 0) < 0) step_fail(errno, "close the step's directories");
}

void run_step(const struct executor_config *shared, const struct step_spec *step, const struct step_cgroups *cgroups, uint32_t id, struct step_descriptors fds) {
  report_failures_to(fds.status);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  // First of all, so that nothing of the step is looked up in the host's.
  if (fds.network >= 0 && setns(fds.network, CLONE_NEWNET) < 0) step_fail(errno, "enter the network");
  umask(0);
  struct executor_config *config = malloc(sizeof *config);
  if (!config) step_fail(ENOMEM, "memory");
  *config = *shared;
  bool insecure = step->flags & STEP_INSECURE;
  config->nodev = config->rootless || !(config->filters_devices || insecure) ? K_ATTR_NODEV : 0;
  // Born into a cgroup of its own it is in no other of version 2.
  bool is_outside = cgroups && cgroups->directory >= 0 && config->unified_devices;
  if (insecure && config->filters_devices && !is_outside) leave_device_cgroup(config);
  if (cgroups) enter_step_cgroups(step, cgroups);
  connect_output(config, step, fds);
  if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) step_fail(errno, "make the mounts private");
  if (step->flags & STEP_NETWORK_NONE) bring_loopback_up();
  int own_process = config->rootless ? open_own_process() : -1;
  int root = build_rootfs(config, step, id);
  blame_failures_on(STATUS_PROCESS_FAILED);
  int directory = open_working_directory(root, step);
  blame_failures_on(STATUS_SETUP_FAILED);
  enter_root(config, root);
  // A container's filter may refuse it, even in a namespace of our own: `uname` then tells the container's.
  if (sethostname(step->hostname, strlen(step->hostname)) < 0 && errno != EPERM) step_fail(errno, "set the host name");
  set_limits(step);
  umask(022);
  // The builder's session keyring stays outside.
  syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL);
  enter_working_directory(directory, step->cwd);
  // Before the step has a user namespace of its own, in which its devpts does not lie.
  if (step->flags & STEP_TERMINAL) open_terminal(config, step);
  if (step->keeps_ids || (!insecure && (config->shifted || config->shows_outer_proc))) take_own_ids(config, step, own_process);
  connect_input(config, step, fds.supervisor >= 0);
  struct step_spec process = *step;
  if (step->keeps_ids) {
    process.uid = kept_id(step->uid, step->own_uid), process.gid = kept_id(step->gid, step->own_gid);
    for (size_t i = 0; i < step->additional_gid_count; i++) process.additional_gids[i] = kept_id(step->additional_gids[i], step->own_gid);
  }
  process.env = with_home(&process);
  drop_privileges(config, &process, fds.supervisor >= 0 ? SUPERVISOR : -1);
  run_process(&process);
}
