// The order: mounts while CAP_SYS_ADMIN may still be used, Landlock before the filter that would forbid its calls,
// the bounding set (which is what an exec of root gets) before no_new_privs, filters last. README.md tells it whole.
#define _GNU_SOURCE
#include "confine.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../common/kernel.h"
#include "landlock.h"

enum { NR_openat2_call = 437, NR_fchmodat2_call = 452 };
enum { NR_pidfd_send_signal_call = 424, NR_pidfd_open = 434, NR_pidfd_getfd = 438 };

// CHOWN DAC_OVERRIDE FOWNER FSETID MKNOD SETFCAP: what it takes to write an image's files as they are.
#define FILE_CAPABILITIES (1ull << 0 | 1ull << 1 | 1ull << 3 | 1ull << 4 | 1ull << 27 | 1ull << 31)
// trusted.overlay.opaque needs it in the first user namespace; what else it opens, the filters close.
#define CAPABILITY_SYS_ADMIN (1ull << 21)

static int open_directory(const char *path) { return open(path, O_PATH | O_DIRECTORY | O_CLOEXEC); }

// Every mount read-only but this directory, which is bound over itself: one mount, so that names may move inside it.
// A rule of Landlock knows nothing of chmod, chown, utimes and xattrs: a mount does.
static bool freeze_mounts(const struct executor_config *config, const char *base, const char **operation) {
  // Without a namespace of mounts Landlock alone says what is written.
  if (config->chroot) return true;
  *operation = "take a mount namespace";
  if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) return false;
  *operation = "bind the directory that it may write";
  int from = open_directory(base);
  int tree = from < 0 ? -1 : k_open_tree(from, "", true);
  if (tree < 0 || k_mount_setattr(tree, K_ATTR_NOSUID | K_ATTR_NODEV | K_ATTR_NOEXEC, true) < 0) return false;
  *operation = "make all mounts read-only";
  int root = open_directory("/");
  if (root < 0 || k_mount_setattr(root, K_ATTR_RDONLY, true) < 0) return false;
  *operation = "mount the directory that it may write";
  int at = open_directory(base);
  if (at < 0 || k_move_mount(tree, at, "") < 0) return false;
  close(from);
  close(tree);
  close(root);
  close(at);
  return true;
}

// What this machine does not have needs no rule.
static bool add_paths(const struct strings *paths, uint64_t accesses, struct landlock_rule *rules, size_t *count) {
  for (size_t i = 0; i < paths->count; i++) {
    int fd = open(paths->items[i], O_PATH | O_CLOEXEC);
    if (fd >= 0) rules[(*count)++] = (struct landlock_rule){fd, accesses};
    else if (errno != ENOENT && errno != ENOTDIR) return false;
  }
  return true;
}

static bool apply_landlock(const struct strings *writable, const struct strings *readable) {
  int version = landlock_version();
  // A kernel without it, or with it turned off: the mounts and filters stand. `tsbuild info` tells. The first version
  // forbids every rename and link from one directory to another, which a layer is full of.
  if (version < 0) return false;
  if (version < 2) return true;
  static const char *null_device[] = {"/dev/null"};
  const struct strings devices = {.items = null_device, .count = 1};
  struct landlock_rule *rules = calloc(writable->count + readable->count + 1, sizeof *rules);
  size_t count = 0;
  bool done = rules && add_paths(writable, LANDLOCK_EVERYTHING & ~(uint64_t)(LANDLOCK_EXECUTE | LANDLOCK_IOCTL_DEV), rules, &count) &&
              add_paths(readable, LANDLOCK_EXECUTE | LANDLOCK_READ_FILE | LANDLOCK_READ_DIR, rules, &count) &&
              add_paths(&devices, LANDLOCK_READ_FILE | LANDLOCK_WRITE_FILE, rules, &count) &&
              landlock_restrict(rules, count, LANDLOCK_OWN_PEERS | LANDLOCK_NO_TCP);
  int error = errno;
  for (size_t i = 0; i < count; i++) close(rules[i].fd);
  free(rules);
  errno = error;
  return done;
}

static bool drop_bounding_set(uint64_t keep) {
  for (int capability = 0; capability < 64; capability++)
    if (!(keep >> capability & 1) && prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) < 0) return errno == EINVAL;
  return true;
}

#if defined(__x86_64__)
#define NATIVE_ARCH AUDIT_ARCH_X86_64
#else
#define NATIVE_ARCH AUDIT_ARCH_AARCH64
#endif

// The class of ioctl(2) numbers that freeze, trim and shut down file systems: CAP_SYS_ADMIN, kept for `trusted.overlay.*`,
// would let a job stop the store's.
#define FILE_SYSTEM_IOCTLS 'X'

// Above the policy of steps: no peers, no other process of this namespace (steps run in it as the same user), and no ioctl
// on the file system as a whole.
static bool refuse_peers(void) {
  static const uint32_t refused[] = {SYS_socket, SYS_connect, SYS_bind, SYS_listen, SYS_accept, SYS_accept4, SYS_ptrace, SYS_process_vm_readv, SYS_process_vm_writev, SYS_kill, SYS_chroot, NR_pidfd_open, NR_pidfd_getfd, NR_pidfd_send_signal_call,
      // The caller's memory and queues, whose ipc namespace this is, and whose id it may have.
      SYS_shmget, SYS_shmat, SYS_shmctl, SYS_semget, SYS_semctl, SYS_semop, SYS_semtimedop, SYS_msgget, SYS_msgctl, SYS_msgsnd, SYS_msgrcv, SYS_mq_open, SYS_mq_unlink};
  enum { COUNT = sizeof refused / sizeof *refused, FIRST = 8, ALLOW = FIRST + COUNT, REFUSE = ALLOW + 1, LENGTH = REFUSE + 1 };
  struct sock_filter program[LENGTH] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, NATIVE_ARCH, 0, REFUSE - 2),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_ioctl, 0, FIRST - 4),
      // The low half of the second argument, which is all of it that the kernel looks at (both architectures: little-endian).
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[1])),
      BPF_STMT(BPF_ALU | BPF_RSH | BPF_K, 8),
      BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0xff),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, FILE_SYSTEM_IOCTLS, REFUSE - FIRST, ALLOW - FIRST),
  };
  for (int i = 0; i < COUNT; i++) program[FIRST + i] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, refused[i], (uint8_t)(COUNT - i), 0);
  program[ALLOW] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
  program[REFUSE] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM);
  struct sock_fprog filter = {.len = LENGTH, .filter = program};
  return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter, 0, 0) == 0;
}

// Where the kernel gives no new /proc, steps see the visible one, and files there that belong to root of their ids (oom_score_adj, autogroup)
// are theirs to write. Not dumpable would not help: the owner is then root of the namespace in which the last exec was, the same. So
// the process for file jobs is the caller, whose id no step has, with the capabilities of root for what it does. What it makes it
// gives to root (files/made-as-root.ts): an id for files alone would have to be taken after the exec, which lets a step look in between.
bool take_callers_id(const struct executor_config *config) {
  if (!config->shifted) return true;
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
  struct __user_cap_data_struct data[2] = {{0}};
  // Behind those of steps.
  uid_t caller = config->uid_count;
  if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0 || setresuid(caller, caller, caller) < 0 || syscall(SYS_capget, &header, data) < 0) return false;
  for (int half = 0; half < 2; half++) {
    data[half].effective = data[half].permitted;
    data[half].inheritable = (uint32_t)(FILE_CAPABILITIES >> 32 * half);
  }
  if (syscall(SYS_capset, &header, data) < 0) return false;
  for (int capability = 0; capability < 64; capability++)
    if (FILE_CAPABILITIES >> capability & 1 && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0) < 0) return false;
  // A change of ids has cleared it.
  return prctl(PR_SET_PDEATHSIG, SIGKILL) == 0;
}

bool confine_jobs(const struct executor_config *config, const char *base, const struct strings *writable, const struct strings *readable, const char **operation) {
  if (!freeze_mounts(config, base, operation)) return false;
  *operation = "drop capabilities";
  if (!drop_bounding_set(FILE_CAPABILITIES | (config->rootless || config->chroot ? 0 : CAPABILITY_SYS_ADMIN))) return false;
  *operation = "forbid new privileges";
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) return false;
  *operation = "apply Landlock";
  if (!apply_landlock(writable, readable)) return false;
  *operation = "apply the filters";
  return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &config->filter, 0, 0) == 0 && refuse_peers();
}

// Without an exec the bounding set takes nothing away.
static bool keep_capabilities(uint64_t keep) {
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
  struct __user_cap_data_struct data[2] = {
      {.effective = (uint32_t)keep, .permitted = (uint32_t)keep},
      {.effective = (uint32_t)(keep >> 32), .permitted = (uint32_t)(keep >> 32)},
  };
  return drop_bounding_set(keep) && syscall(SYS_capset, &header, data) == 0;
}

// What writing a tree takes, and what the C library needs for memory: all else is refused.
static bool allow_tree_calls(void) {
  static const uint32_t allowed[] = {
      SYS_read, SYS_write, SYS_close, SYS_lseek, SYS_ftruncate, SYS_openat, NR_openat2_call, SYS_mkdirat, SYS_symlinkat, SYS_linkat, SYS_mknodat, SYS_unlinkat,
      SYS_fchown, SYS_fchownat, SYS_fchmod, SYS_fchmodat, NR_fchmodat2_call, SYS_utimensat, SYS_fsetxattr, SYS_lsetxattr, SYS_fchdir, SYS_umask,
      SYS_fstat, SYS_newfstatat, SYS_statx, SYS_getdents64, SYS_fcntl, SYS_brk, SYS_mmap, SYS_munmap, SYS_mremap, SYS_madvise, SYS_exit_group,
#if defined(__x86_64__)
      SYS_open, SYS_chmod,
#endif
  };
  enum { COUNT = sizeof allowed / sizeof *allowed, FIRST = 3, REFUSE = FIRST + COUNT, ALLOW = REFUSE + 1, LENGTH = ALLOW + 1 };
  struct sock_filter program[LENGTH] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, NATIVE_ARCH, 0, REFUSE - 2),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
  };
  for (int i = 0; i < COUNT; i++) program[FIRST + i] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, allowed[i], (uint8_t)(COUNT - i), 0);
  program[REFUSE] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM);
  program[ALLOW] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
  struct sock_fprog filter = {.len = LENGTH, .filter = program};
  return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter, 0, 0) == 0;
}

bool confine_tree_writer(const struct executor_config *config, const char *directory, const char **operation) {
  const struct strings writable = {.items = &directory, .count = 1}, readable = {0};
  if (!freeze_mounts(config, directory, operation)) return false;
  *operation = "drop capabilities";
  if (!keep_capabilities(FILE_CAPABILITIES | (config->rootless || config->chroot ? 0 : CAPABILITY_SYS_ADMIN))) return false;
  *operation = "forbid new privileges";
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) return false;
  *operation = "apply Landlock";
  if (!apply_landlock(&writable, &readable)) return false;
  *operation = "apply a filter";
  return allow_tree_calls();
}
