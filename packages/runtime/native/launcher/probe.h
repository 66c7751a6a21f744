#ifndef TS_OCI_PROBE_H
#define TS_OCI_PROBE_H

#include "step.h"

// Tries, inside the namespaces, what a step needs, and prints "NAME ok" or "NAME ERRNO" a line; never returns.
_Noreturn void run_probe(const struct executor_config *config);

#endif
