// A supervisor answers calls of a step through seccomp's user notification. It is one process with one thread, forked by the
// executor; ../README.md tells its life and what it may do.
#ifndef TS_OCI_SUPERVISOR_H
#define TS_OCI_SUPERVISOR_H

#include "trap.h"

// Installs the filter in the calling process, for good, and gives the descriptor that its calls are read from; -1 with errno
// (EBUSY: a filter above has a listener already; EACCES: neither CAP_SYS_ADMIN nor no_new_privs).
int install_listener(const struct sock_fprog *filter);
// Through a UNIX socket; -1 with errno (EPIPE: the other end has gone).
int send_descriptor(int socket, int fd);
int take_descriptor(int socket);
// Sends the listener and waits until the supervisor, who has taken it, tells that it serves.
int hand_listener_over(int socket, int listener);
int tell_that_it_serves(int socket);

// Answers until it is killed: nobody else tells it that the step has ended. `traps` is what the filter was made of.
_Noreturn void supervise(int listener, const struct trap *traps, size_t count, void *context);

// Whether the call still waits, so that its pid is still that of the thread which made it. To be asked after everything that
// was looked up by the pid, and right before its memory is written.
bool still_waits(const struct call *call);
// Reads the step's memory; asks still_waits itself. 0 or -errno (EFAULT, ESRCH).
int read_memory(const struct call *call, uint64_t address, void *into, size_t length);
// A string with its NUL: its length, or -errno (EFAULT, ENAMETOOLONG, ESRCH).
int read_text(const struct call *call, uint64_t address, char *into, size_t capacity);
int write_memory(const struct call *call, uint64_t address, const void *from, size_t length);

// Handles rt_sigaction of SIGCHLD: its handler restarts the calls that it interrupts.
struct answer restart_after_children(struct call *call);

#endif
