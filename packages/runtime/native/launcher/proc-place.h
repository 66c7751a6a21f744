// Paths of a step's /proc, and whose eyes they are looked up with.
#ifndef TS_OCI_PROC_PLACE_H
#define TS_OCI_PROC_PLACE_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "../common/kernel.h"
#include "../supervisor/trap.h"

// Below a directory of /proc: no link is followed.
#define STRICTLY (K_RESOLVE_BENEATH | K_RESOLVE_NO_SYMLINKS)

struct step_proc {
  int proc;       // the container's /proc
  int root;       // the step's root, which this process is in
  pid_t sentinel; // every process of the step is below it
};

// A path of the step's /proc: `base` and, below it, `rest`.
struct place {
  char shown[PATH_MAX]; // as the step names it, below /proc; its own number for `self`
  int base;             // the process's directory, or /proc
  const char *rest;
};

// Reads the path of a call; false when the call is none of ours. Ids are the caller's afterwards where they must be.
// `follows` is true afterwards where a slash at the end says so. `below` is below /proc.
bool take_path(const struct step_proc *state, struct call *call, uint64_t address, bool *follows, char below[PATH_MAX]);
// Gives this process its own ids back.
void look_as_root(void);
// Links of /proc that say who looks.
bool is_link_itself(const char *below);
// Finds the process that a path names. 0, or an errno.
int find_place(const struct step_proc *state, struct call *call, const char *below, struct place *place);
void leave_place(const struct step_proc *state, const struct place *place);

#endif
