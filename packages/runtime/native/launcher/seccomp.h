#ifndef TS_OCI_SECCOMP_H
#define TS_OCI_SECCOMP_H

#include <linux/filter.h>

// Compiles the policy of steps once; the program lives as long as the process.
struct sock_fprog compile_seccomp(void);

#endif
