#ifndef TS_OCI_CHMOD_AT_H
#define TS_OCI_CHMOD_AT_H

#include <sys/types.h>

// chmod of a name that does not follow a symlink (EOPNOTSUPP on one); 0 or -errno. Before Linux 6.6 it needs /proc.
int chmod_at(int directory, const char *name, mode_t mode);

#endif
