// The command of a step, once its root is there. Failures are reported (failure.h) and end the process.
#ifndef TS_OCI_PROCESS_H
#define TS_OCI_PROCESS_H

#include "spec.h"

// The working directory inside `root`, made by the step's user where it is missing; a descriptor.
int open_working_directory(int root, const struct step_spec *step);
void enter_working_directory(int directory, const char *name);
void set_limits(const struct step_spec *step);
// The step's variables and HOME, by /etc/passwd of the root that this process is in.
struct strings with_home(const struct step_spec *step);
// Executes the command in a session of its own, with default signals and no descriptor above 2.
_Noreturn void run_process(const struct step_spec *step);

#endif
