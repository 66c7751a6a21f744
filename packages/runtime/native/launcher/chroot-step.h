// A step in a container that gives no namespaces: a directory as its root, and processes that look after it.
#ifndef TS_OCI_CHROOT_STEP_H
#define TS_OCI_CHROOT_STEP_H

#include <stdint.h>

#include "config.h"
#include "spec.h"
#include "step.h"

// The life of a step's keeper, which puts into the root what the step finds there and takes it away afterwards. When `life`
// ends, or by SIGTERM, it ends the step first.
_Noreturn void run_chroot_step(const struct executor_config *config, const struct step_spec *step, uint32_t id, struct step_descriptors fds, int life);

#endif
