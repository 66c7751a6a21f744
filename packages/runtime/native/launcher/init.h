// What a step's pid 1 writes on the status pipe, each in one write: a tag, then four bytes in the machine's order.
#ifndef TS_OCI_INIT_H
#define TS_OCI_INIT_H

#include <sys/types.h>

#define STATUS_SETUP_FAILED 'S'   // errno, then the operation
#define STATUS_PROCESS_FAILED 'P' // errno, then the operation: the image's or the command's fault
#define STATUS_ENDED 'X'          // wait status of the command

// Reaps whatever becomes an orphan, forwards signals to the command, reports its end and ends: then the kernel ends all.
_Noreturn void serve_as_init(pid_t command, int status_pipe);

// "HOME=…" of a user after the image's /etc/passwd; "/" when it is not there.
const char *home_of(uid_t uid);

#endif
