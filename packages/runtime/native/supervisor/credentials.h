// Who a process of the step takes itself for. The kernel keeps which of our sets of credentials a process has: as the soft limit
// of RLIMIT_LOCKS, which has meant nothing to Linux since 2.4. Limits are a process' own, are copied by fork at that very moment and
// stay across exec, so there is no table of processes here and no pid that could be another's. A step neither sees nor sets that
// limit: those calls are answered here too.
#ifndef TS_OCI_CREDENTIALS_H
#define TS_OCI_CREDENTIALS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "emulation.h"

// 0, or -ENOMEM.
int start_credentials(struct credential_sets *sets, const struct credentials *first);
const struct credentials *credentials_of(const struct call *call);
// 0 or -errno (EAGAIN: the step has used more different sets than we keep).
int change_credentials(const struct call *call, const struct credentials *wanted);
// The umask of the calling thread: kept beside its credentials once it was read, as reading it costs more than all the rest of a file.
mode_t umask_of(const struct call *call);
// As the kernel keeps and shows them.
void sort_groups(struct credentials *credentials);
bool is_in_group(const struct credentials *credentials, uint32_t gid);

#endif
