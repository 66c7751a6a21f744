// Capabilities, groups and ids of a step, in the one order that works: the bounding set while CAP_SETPCAP is there,
// groups before the user, the sets last.
#define _GNU_SOURCE
#include "identity.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "capabilities.h"
#include "failure.h"
#include "supervision.h"
#include "whiteout-filter.h"

// What a container itself lacks (Podman's have three fewer than Docker's), a step cannot have.
static uint64_t held_of(uint64_t capabilities) {
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
  struct __user_cap_data_struct data[2] = {{0}};
  if (syscall(SYS_capget, &header, data) < 0) step_fail(errno, "capget");
  uint64_t held = data[0].permitted | (uint64_t)data[1].permitted << 32;
  return capabilities & held;
}

static void set_capabilities(uint64_t set) {
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
  struct __user_cap_data_struct data[2] = {
      {.effective = (uint32_t)set, .permitted = (uint32_t)set},
      {.effective = (uint32_t)(set >> 32), .permitted = (uint32_t)(set >> 32)},
  };
  if (syscall(SYS_capset, &header, data) < 0) step_fail(errno, "capset");
}

static void drop_bounding_set(uint64_t keep) {
  for (int capability = 0; capability < 64; capability++) {
    if (keep >> capability & 1) continue;
    // The first number that this kernel does not know ends the list.
    if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) < 0) {
      if (errno == EINVAL) break;
      step_fail(errno, "drop capability %d", capability);
    }
  }
}

// To the kernel all its users are root of the namespace: only the supervisor tells them apart.
static void take_ids(const struct step_spec *step) {
  if (setgroups(step->additional_gid_count, step->additional_gids) < 0) step_fail(errno, "setgroups");
  if (setresgid(step->gid, step->gid, step->gid) < 0) step_fail(errno, "setgid %u", step->gid);
  if (setresuid(step->uid, step->uid, step->uid) < 0) step_fail(errno, "setuid %u", step->uid);
}

void drop_privileges(const struct executor_config *config, const struct step_spec *step, int supervisor) {
  bool insecure = step->flags & STEP_INSECURE;
  uint64_t capabilities = capabilities_of(step);
  capabilities = held_of(config->chroot ? capabilities & CHROOT_CAPABILITIES : capabilities);
  // To the kernel this number means "as it is", which is root.
  if (step->uid == (uid_t)-1 || step->gid == (gid_t)-1) step_fail(EINVAL, "user %u:%u", step->uid, step->gid);
  if (step->directory && !refuse_whiteouts()) step_fail(errno, "seccomp");
  // Without no_new_privs (which Docker does not set either) a filter needs CAP_SYS_ADMIN: so it comes first.
  if (!insecure && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &config->filter, 0, 0) < 0) step_fail(errno, "seccomp");
  if (!insecure) drop_bounding_set(capabilities);
  // Needs CAP_SYS_ADMIN as well.
  if (supervisor >= 0) come_under_supervision(config, supervisor);
  if (!config->single_id) take_ids(step);
  bool is_emulated = config->single_id && !step->keeps_ids;
  // A user other than root has lost its sets with setresuid, as in Docker; but where it was no root before either.
  if (!insecure && (step->uid == 0 || is_emulated)) set_capabilities(capabilities);
  else if (step->keeps_ids && step->uid != 0) set_capabilities(0);
  prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  // Changing ids cleared the parent-death signal and reset who may look into this process.
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  prctl(PR_SET_DUMPABLE, 0);
}
