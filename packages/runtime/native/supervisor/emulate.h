// Owners for a step that has one user id: it chowns, becomes other users and sees them as under Docker, while to the kernel all of
// it is one user's. What it may do to files stays that user's: nothing here is a check that protects anything.
#ifndef TS_OCI_EMULATE_H
#define TS_OCI_EMULATE_H

#include <linux/filter.h>
#include <stdbool.h>
#include <stdint.h>

#include "emulation.h"

// `devices`: only mknod of devices, for steps that have ids enough.
enum emulated { EMULATE_OWNERS, EMULATE_DEVICES };

// The filter that a step installs; made once a process and kind, before any fork.
const struct sock_fprog *emulation_filter(enum emulated what);

struct emulation_start {
  enum emulated what;
  int socket;          // from where the step's mount namespace and its listener come
  int proc;            // root of a /proc, of our own pid namespace unless `outer_proc`
  bool outer_proc;
  const struct sock_fprog *policy; // of the step, which holds for the supervisor as well
  uint64_t capabilities;           // of the step
  struct credentials first;
};
// The supervisor's life, in a process forked for it. It takes the step's root and file systems as its own, and keeps no right that
// the step has not, but to look into its processes. Ends with a status other than 0 where that fails.
_Noreturn void emulate(struct emulation_start *start);

#endif
