#ifndef TS_OCI_EXECUTOR_H
#define TS_OCI_EXECUTOR_H

#include "config.h"

// Serves requests on the control socket as pid 1 of its namespace until the socket ends; never returns.
// `jobs` is the socket that the child for file jobs will get, or -1.
_Noreturn void serve_executor(struct executor_config *config, int control, int jobs);

#endif
