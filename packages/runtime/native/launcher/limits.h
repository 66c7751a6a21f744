// What a step may use of the machine, by cgroups of its own: made only for a step that is limited, or opens devices that others do not.
#ifndef TS_OCI_LIMITS_H
#define TS_OCI_LIMITS_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "config.h"
#include "limit-values.h"
#include "spec.h"

// The hierarchies in which a step can have a directory: that of version 2, or those of version 1.
enum { STEP_CGROUPS = 6 };

struct step_cgroups {
  uint32_t step;
  int directory; // of version 2, to clone into; or -1
  char paths[STEP_CGROUPS][PATH_MAX];
  int count;
};

bool has_own_cgroups(const struct executor_config *config, const struct step_spec *step);
// In the executor: finds the places, and makes that of version 2. False with the failure.
bool make_step_cgroups(const struct executor_config *config, const struct step_spec *step, struct step_cgroups *cgroups, struct limit_failure *failure);
// In the step, first of all: makes those of version 1 and enters them. Fails the step.
void enter_step_cgroups(const struct step_spec *step, const struct step_cgroups *cgroups);
// How many processes of the step the kernel killed because memory was out.
uint64_t count_oom_kills(const struct step_cgroups *cgroups);
void remove_step_cgroups(struct step_cgroups *cgroups);

// The same of the cgroup in which this process is, and of what is below it.
uint64_t count_own_oom_kills(void);
// What executors left that were killed.
void sweep_step_cgroups(void);

#endif
