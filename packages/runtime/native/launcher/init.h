#ifndef TS_OCI_INIT_H
#define TS_OCI_INIT_H

#include <sys/types.h>

// Reaps whatever becomes an orphan, forwards signals to the command, reports its end and ends: then the kernel ends all.
_Noreturn void serve_as_init(pid_t command, int status_pipe);

// "HOME=…" of a user after the image's /etc/passwd; "/" when it is not there.
const char *home_of(uid_t uid);

#endif
