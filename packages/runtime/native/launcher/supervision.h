// A step's supervisor, from both ends: the executor starts it, the step gives it the calls that it asks to be answered.
#ifndef TS_OCI_SUPERVISION_H
#define TS_OCI_SUPERVISION_H

#include <sys/types.h>

#include "config.h"
#include "spec.h"

// Before anything is forked: the filter, and a /proc to find the step's processes in.
void prepare_supervision(struct executor_config *config);
bool needs_supervisor(const struct executor_config *config, const struct step_spec *step);
// Forks it; -1 with errno. `theirs` the step's end of the sockets.
pid_t start_supervisor(const struct executor_config *config, const struct step_spec *step, int theirs, int socket);
// By the step, once its policy holds and while it has CAP_SYS_ADMIN; fails the step on errors.
void come_under_supervision(const struct executor_config *config, int socket);

#endif
