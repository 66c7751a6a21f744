#ifndef TS_OCI_PSEUDO_H
#define TS_OCI_PSEUDO_H

#include <stdbool.h>

#include "config.h"
#include "spec.h"

// Notes in `config` when the visible one is shown.
void mount_proc(struct executor_config *config, int root, bool insecure);
void mount_dev(struct executor_config *config, const struct step_spec *step, int root);
void mount_sys(const struct executor_config *config, int root, bool insecure, bool own_network, bool limited);

#endif
