// The handlers of emulate.c's table.
#ifndef TS_OCI_HANDLERS_H
#define TS_OCI_HANDLERS_H

#include "trap.h"

typedef struct answer handler(struct call *call);

// ids.c
handler on_getuid, on_geteuid, on_getgid, on_getegid, on_getresuid, on_getresgid, on_getgroups;
handler on_setuid, on_setgid, on_setreuid, on_setregid, on_setresuid, on_setresgid, on_setfsuid, on_setfsgid, on_setgroups;
// owners.c
handler on_chown, on_lchown, on_fchown, on_fchownat;
// create.c
handler on_open, on_creat, on_openat, on_openat2, on_mkdir, on_mkdirat, on_symlink, on_symlinkat, on_mknod, on_mknodat, on_device_mknod, on_device_mknodat;
// status.c
handler on_stat, on_lstat, on_fstat, on_newfstatat, on_statx;
// execute.c
handler on_execve, on_execveat, on_chroot;
// credentials.c
handler on_umask, on_shared_umask;
// hidden.c
handler on_getrlimit, on_setrlimit, on_prlimit64, on_listxattr, on_llistxattr, on_flistxattr;

#endif
