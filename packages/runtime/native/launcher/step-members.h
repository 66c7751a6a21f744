// Which processes are a step's, where it has no pid namespace: those below its sentinel.
#ifndef TS_OCI_STEP_MEMBERS_H
#define TS_OCI_STEP_MEMBERS_H

#include <stdbool.h>
#include <sys/types.h>

// `proc` is a descriptor of /proc. What is in the ancestor's own session does not count.
bool is_below(int proc, pid_t pid, pid_t ancestor);
// How many threads all processes below `ancestor` have.
unsigned count_below(int proc, pid_t ancestor);
// Signals each of them; how many there were.
unsigned signal_below(int proc, pid_t ancestor, int number);

#endif
