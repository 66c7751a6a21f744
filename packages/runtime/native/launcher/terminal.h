#ifndef TS_OCI_TERMINAL_H
#define TS_OCI_TERMINAL_H

#include "config.h"
#include "spec.h"

// In the step: makes a terminal of its own devpts, hands its master to the executor through standard output, which is a socket
// until then, and puts it in the place of the three streams.
void open_terminal(const struct executor_config *config, const struct step_spec *step);

#endif
