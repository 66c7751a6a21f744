// What the process for file jobs may do: it reads archives and trees that others wrote, as root where we are root.
#ifndef TS_OCI_CONFINE_H
#define TS_OCI_CONFINE_H

#include "config.h"
#include "string-list.h"

// Before `confine_jobs`, where steps have shifted ids: this process, which execs next, is none whose files in /proc a step may write.
bool take_callers_id(const struct executor_config *config);

// Confines this process, which has one thread and execs next: the whole file system read-only but for the
// directory `base`, nothing to write but `writable` in it and to read but `readable` besides, the capabilities that files of foreign owners need, no new
// privileges, no sockets. False, with errno and `operation`, when the kernel refuses; Landlock alone may be missing.
bool confine_jobs(const struct executor_config *config, const char *base, const struct strings *writable, const struct strings *readable, const char **operation);

// Confines this process, which has one thread and goes on without an exec, to writing files below `directory`. What it may
// call is a list of the calls that this takes.
bool confine_tree_writer(const struct executor_config *config, const char *directory, const char **operation);

#endif
