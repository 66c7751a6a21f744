#ifndef TS_OCI_CAPABILITIES_H
#define TS_OCI_CAPABILITIES_H

#include <linux/capability.h>

#include "spec.h"

// Docker's default: CHOWN DAC_OVERRIDE FOWNER FSETID KILL SETGID SETUID SETPCAP NET_BIND_SERVICE NET_RAW SYS_CHROOT
// MKNOD AUDIT_WRITE SETFCAP.
#define DEFAULT_CAPABILITIES 0xa80425fbull
// Where the root of a step is a plain chroot: a second one leads out of it, and chmod and chown would follow. What is written
// to the audit log or sent raw is the container's.
#define CHROOT_CAPABILITIES (DEFAULT_CAPABILITIES & ~(1ull << CAP_SYS_CHROOT | 1ull << CAP_NET_RAW | 1ull << CAP_AUDIT_WRITE))

// The set of a step's root, a bit a number.
uint64_t capabilities_of(const struct step_spec *step);

#endif
