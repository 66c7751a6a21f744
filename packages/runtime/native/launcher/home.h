#ifndef TS_OCI_HOME_H
#define TS_OCI_HOME_H

#include <sys/types.h>

// "HOME=…" of a user after the image's /etc/passwd; "/" when it is not there.
const char *home_of(uid_t uid);

#endif
