#ifndef TS_OCI_IDENTITY_H
#define TS_OCI_IDENTITY_H

#include "config.h"
#include "spec.h"

// Filter, capabilities, groups and ids, for good; fails the step on errors.
void drop_privileges(const struct executor_config *config, const struct step_spec *step);

#endif
