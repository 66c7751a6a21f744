// The supervisor of a step without namespaces, and below it the sentinel and the command.
#ifndef TS_OCI_CHROOT_GUARD_H
#define TS_OCI_CHROOT_GUARD_H

#include "guarded.h"

_Noreturn void guard_step(const struct guarded *guarded);

#endif
