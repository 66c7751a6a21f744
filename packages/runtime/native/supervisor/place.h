// Where a path of a step's call lies, as a path that this process resolves to the same: it has the step's root as its own and a
// /proc as its current directory, through which it reaches the directories of the step's processes ("17/cwd/file", "17/fd/5").
#ifndef TS_OCI_PLACE_H
#define TS_OCI_PLACE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "trap.h"

#define PLACE_SIZE (4096 + 64)

// Arguments as of the calls: a directory (or AT_FDCWD) and a path in the step's memory; with `may_be_empty` the descriptor itself.
// 0 or -errno. `descriptor`: the place is a descriptor itself, to be followed whatever the flags say.
int locate(const struct call *call, int directory, uint64_t path, bool may_be_empty, char place[PLACE_SIZE], bool *descriptor);
// The directory in which the last name of a place lies; false where it has none (".", "..", a descriptor).
bool parent_of(const char *place, char parent[PLACE_SIZE]);
// The umask of the calling thread, as its status tells: some 20 µs.
mode_t read_umask(const struct call *call);
// "<number>" of the calling thread in our /proc; 0 when it cannot be told.
int number_of(const struct call *call);
// Whether the calling thread has it, in effect.
bool has_capability(const struct call *call, int capability);
// Whether it has given up what set-uid programs give.
bool has_no_new_privileges(const struct call *call);
// Whether a process of the step traces it.
bool is_traced(const struct call *call);

#endif
