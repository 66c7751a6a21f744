#define _GNU_SOURCE
#include "emulate.h"

#include <errno.h>
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <linux/stat.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../common/kernel.h"
#include "credentials.h"
#include "handlers.h"
#include "supervisor.h"

static struct trap owner_traps[] = {
    {SYS_getuid, on_getuid},
    {SYS_geteuid, on_geteuid},
    {SYS_getgid, on_getgid},
    {SYS_getegid, on_getegid},
    {SYS_getresuid, on_getresuid},
    {SYS_getresgid, on_getresgid},
    {SYS_getgroups, on_getgroups},
    {SYS_setuid, on_setuid},
    {SYS_setgid, on_setgid},
    {SYS_setreuid, on_setreuid},
    {SYS_setregid, on_setregid},
    {SYS_setresuid, on_setresuid},
    {SYS_setresgid, on_setresgid},
    {SYS_setfsuid, on_setfsuid},
    {SYS_setfsgid, on_setfsgid},
    {SYS_setgroups, on_setgroups},
    {SYS_fchown, on_fchown},
    {SYS_fchownat, on_fchownat},
    {SYS_openat, on_openat, TRAP_ANY_BIT, 2, O_CREAT | (O_TMPFILE & ~O_DIRECTORY)},
    {SYS_openat2, on_openat2},
    {SYS_mkdirat, on_mkdirat},
    {SYS_symlinkat, on_symlinkat},
    {SYS_mknodat, on_mknodat},
    {SYS_fstat, on_fstat},
    {SYS_newfstatat, on_newfstatat},
    {SYS_statx, on_statx, TRAP_ANY_BIT, 3, STATX_TYPE | STATX_UID | STATX_GID},
    {SYS_execve, on_execve},
    {SYS_execveat, on_execveat},
    {SYS_chroot, on_chroot},
    {SYS_prlimit64, on_prlimit64, TRAP_EQUAL, 1, RLIMIT_LOCKS},
    {SYS_getrlimit, on_getrlimit, TRAP_EQUAL, 0, RLIMIT_LOCKS},
    {SYS_setrlimit, on_setrlimit, TRAP_EQUAL, 0, RLIMIT_LOCKS},
    {SYS_listxattr, on_listxattr},
    {SYS_llistxattr, on_llistxattr},
    {SYS_flistxattr, on_flistxattr},
    {SYS_umask, on_umask},
    // Processes that share a umask and no limits. With a policy there is neither clone3, whose flags no filter sees, nor unshare.
    {SYS_clone, on_shared_umask, TRAP_EQUAL, 0, CLONE_FS, CLONE_FS | CLONE_THREAD},
    {SYS_rt_sigaction, restart_after_children, TRAP_EQUAL, 0, SIGCHLD},
#if defined(__x86_64__)
    {SYS_chown, on_chown},
    {SYS_lchown, on_lchown},
    {SYS_open, on_open, TRAP_ANY_BIT, 1, O_CREAT | (O_TMPFILE & ~O_DIRECTORY)},
    {SYS_creat, on_creat},
    {SYS_mkdir, on_mkdir},
    {SYS_symlink, on_symlink},
    {SYS_mknod, on_mknod},
    {SYS_stat, on_stat},
    {SYS_lstat, on_lstat},
#endif
};

static struct trap device_traps[] = {
    {SYS_mknodat, on_device_mknodat},
#if defined(__x86_64__)
    {SYS_mknod, on_device_mknod},
#endif
};

#define COUNT(list) (sizeof(list) / sizeof *(list))

const struct sock_fprog *emulation_filter(enum emulated what) {
  static struct sock_fprog filter;
  if (!filter.len) filter = what == EMULATE_OWNERS ? compile_traps(owner_traps, COUNT(owner_traps)) : compile_traps(device_traps, COUNT(device_traps));
  return &filter;
}

_Noreturn static void fail(int status) { _exit(status); }

// The step's own, and what reading the memory of its processes takes.
static void drop_rights(const struct emulation_start *start) {
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
  uint64_t kept = start->capabilities | 1ull << CAP_SYS_PTRACE;
  struct __user_cap_data_struct data[2] = {
      {.effective = (uint32_t)kept, .permitted = (uint32_t)kept},
      {.effective = (uint32_t)(kept >> 32), .permitted = (uint32_t)(kept >> 32)},
  };
  if (start->policy && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, start->policy, 0, 0) < 0) fail(73);
  if (syscall(SYS_capset, &header, data) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) fail(74);
}

// Every descriptor but these two, which become 0 and 1.
static void keep_descriptors(int *listener, int *socket) {
  int a = fcntl(*listener, F_DUPFD_CLOEXEC, 16), b = fcntl(*socket, F_DUPFD_CLOEXEC, 16);
  if (a < 0 || b < 0 || dup3(a, 0, O_CLOEXEC) < 0 || dup3(b, 1, O_CLOEXEC) < 0 || k_close_range(2, ~0u, 0) < 0) fail(75);
  *listener = 0;
  *socket = 1;
}

void emulate(struct emulation_start *start) {
  static struct emulation emulation;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  prctl(PR_SET_DUMPABLE, 0);
  prctl(PR_SET_NAME, "supervisor");
  umask(0);
  int socket = start->socket, mounts = take_descriptor(socket), listener = mounts < 0 ? -1 : take_descriptor(socket);
  // The step failed before it came under supervision, and says why.
  if (listener < 0) fail(errno == EPIPE ? 0 : 76);
  if (setns(mounts, CLONE_NEWNS) < 0 || fchdir(start->proc) < 0) fail(77);
  keep_descriptors(&listener, &socket);
  drop_rights(start);
  emulation.outer_proc = start->outer_proc;
  // It may have mounts and a root of its own at any time.
  emulation.chroots = start->capabilities >> CAP_SYS_ADMIN & 1;
  emulation.keeps_umask = start->what == EMULATE_OWNERS && start->policy;
  if (start_credentials(&emulation.sets, &start->first) < 0 || tell_that_it_serves(socket) < 0) fail(78);
  close(socket);
  if (start->what == EMULATE_OWNERS) supervise(listener, owner_traps, COUNT(owner_traps), &emulation);
  supervise(listener, device_traps, COUNT(device_traps), &emulation);
}
