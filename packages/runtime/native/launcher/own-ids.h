#ifndef TS_OCI_OWN_IDS_H
#define TS_OCI_OWN_IDS_H

#include "config.h"
#include "spec.h"

// This process in the /proc of the executor, to be opened while that is in sight; -1 where there is none.
int open_own_process(void);
// Enters a user namespace inside the executor's that has the ids of steps and nothing else; those of a step that keeps its user's
// in their order. Fails the step on errors.
void take_own_ids(const struct executor_config *config, const struct step_spec *step, int own_process);
// What an id of the executor's namespace is in that of a step that keeps `own`.
uint32_t kept_id(uint32_t id, uint32_t own);

#endif
