// The filter of a step without namespaces, beside the policy of all steps: what has to be asked, and what reaches beyond it.
#ifndef TS_OCI_STEP_FILTER_H
#define TS_OCI_STEP_FILTER_H

#include <stdbool.h>

struct step_filter {
  bool no_network;    // no sockets but unix ones
  bool signals_asked; // Landlock does not say whom the step may signal
};
// Compiled where the container's own objects can still be seen.
void compile_step_filter(const struct step_filter *wanted);
// Installs what was compiled (no_new_privs is set); the listener, or -1 with errno.
int install_step_filter(void);

#endif
