// How many processes all steps of an executor may have together: what keeps a fork bomb from the machine.
#ifndef TS_OCI_PROCESS_LIMIT_H
#define TS_OCI_PROCESS_LIMIT_H

#include <limits.h>
#include <sys/types.h>

struct process_limit {
  char path[PATH_MAX]; // of version 1, ours; empty when there is none
};

// Limits a cgroup of version 2 that nobody is in yet, where its parent lets it.
void limit_unified_cgroup(const char *path);
// Moves a process into a new cgroup of version 1, where there is that hierarchy and it may be written: nothing else.
void limit_processes(struct process_limit *limit, pid_t pid);
void remove_process_limit(struct process_limit *limit);

#endif
