// What the handlers of emulate.c share, for as long as a step runs: the context of its calls.
#ifndef TS_OCI_EMULATION_H
#define TS_OCI_EMULATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "trap.h"

#define GROUP_LIMIT 1024u

struct credentials {
  uint32_t ruid, euid, suid, fsuid, rgid, egid, sgid, fsgid;
  uint32_t group_count;
  uint32_t groups[GROUP_LIMIT];
};

struct credential_sets {
  struct credentials *sets[4096]; // the first is the step's
  size_t count, bytes;
};

struct emulation {
  struct credential_sets sets;
  bool outer_proc; // the current directory is a /proc that numbers processes as another pid namespace does
  bool keeps_umask; // umask(2) is asked about, and nobody shares one with a process of other limits
  bool chroots;    // a process has changed its root since: absolute paths begin there
};

static inline struct emulation *emulation_of(const struct call *call) { return call->context; }

#endif
