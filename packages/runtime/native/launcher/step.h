#ifndef TS_OCI_STEP_H
#define TS_OCI_STEP_H

#include <stdint.h>

#include "config.h"
#include "limits.h"
#include "spec.h"

struct step_descriptors {
  int in;               // standard input, or -1: it reads nothing
  int out, err, status; // standard output (of a step with a terminal a socket) and error, and the status pipe
  int supervisor;       // a socket to who answers some of its calls, or -1
  int network;          // the network namespace that it enters, or -1
};
// The life of a step's pid 1; `cgroups` is NULL where nothing limits it.
_Noreturn void run_step(const struct executor_config *config, const struct step_spec *step, const struct step_cgroups *cgroups, uint32_t id, struct step_descriptors fds);

#endif
