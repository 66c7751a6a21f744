// The step's root becomes `/`, and nothing that was there before is left.
#ifndef TS_OCI_ENTER_ROOT_H
#define TS_OCI_ENTER_ROOT_H

#include "config.h"

// `root`: the attached mount. Reports a failure and ends the process.
void enter_root(const struct executor_config *config, int root);

#endif
