// What a step without a /proc of its own is told about it: files, injected one by one. Never a directory of procfs: its `..`
// leads out of the step's root.
#ifndef TS_OCI_STEP_PROC_H
#define TS_OCI_STEP_PROC_H

#include <stdbool.h>
#include <stddef.h>

#include "proc-place.h"

// The calls to ask about, at most TRAP_LIMIT; with `signals` those that signal a process too, where Landlock does not say whom.
// Their context is a struct step_proc.
size_t proc_traps(bool signals, struct trap *traps);

#endif
