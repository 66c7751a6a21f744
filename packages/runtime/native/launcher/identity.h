#ifndef TS_OCI_IDENTITY_H
#define TS_OCI_IDENTITY_H

#include "config.h"
#include "capabilities.h"
#include "spec.h"

// Filter, capabilities, groups and ids, for good; fails the step on errors.
// `supervisor`: a socket to who answers some of its calls, or -1.
void drop_privileges(const struct executor_config *config, const struct step_spec *step, int supervisor);

#endif
