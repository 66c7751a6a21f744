// What a step without a /proc of its own is told about it: files, injected one by one. Never a directory of procfs: its `..`
// leads out of the step's root.
#ifndef TS_OCI_STEP_PROC_H
#define TS_OCI_STEP_PROC_H

#include <stdbool.h>
#include <sys/types.h>

#include "../supervisor/trap.h"

struct step_proc {
  int proc;       // the container's /proc
  int root;       // the step's root, which this process is in
  pid_t sentinel; // every process of the step is below it
  unsigned left;  // processes that may still be made before they are counted again
};

// The calls to ask about, at most TRAP_LIMIT; with `signals` those that signal a process too, where Landlock does not say whom.
// Their context is a struct step_proc.
size_t proc_traps(bool signals, struct trap *traps);

#endif
