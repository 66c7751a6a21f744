// What a step without namespaces may not do besides the policy of all steps: reach processes, objects and devices of others by
// number, where neither its root nor Landlock stands between.
#ifndef TS_OCI_STEP_FILTER_H
#define TS_OCI_STEP_FILTER_H

#include <stdbool.h>

// Compiled where the container's own objects can still be seen. Without `network` no sockets but unix ones can be made.
void compile_step_filter(bool network);
// Installs what was compiled (no_new_privs is set); false with errno.
bool install_step_filter(void);

#endif
