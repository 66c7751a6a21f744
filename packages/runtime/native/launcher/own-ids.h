#ifndef TS_OCI_OWN_IDS_H
#define TS_OCI_OWN_IDS_H

#include "config.h"

// This process in the /proc of the executor, to be opened while that is in sight; -1 where there is none.
int open_own_process(void);
// Enters a user namespace inside the executor's that has the ids of steps and nothing else. Fails the step on errors.
void take_own_ids(const struct executor_config *config, int own_process);

#endif
