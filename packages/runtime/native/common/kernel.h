// System calls and constants that the C library's headers may be too old to know. Numbers above 423 are the same on
// every architecture that we support (x86-64, i386, arm64).
#ifndef TS_OCI_KERNEL_H
#define TS_OCI_KERNEL_H

#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

struct kernel_clone_args {
  uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid, set_tid_size, cgroup;
};

struct kernel_open_how {
  uint64_t flags, mode, resolve;
};

struct kernel_dirent {
  uint64_t inode;
  int64_t offset;
  uint16_t size;
  uint8_t type;
  char name[];
};

struct kernel_mount_attr {
  uint64_t attr_set, attr_clr, propagation, userns_fd;
};

// CLONE_*
#define K_CLONE_PIDFD 0x00001000
#define K_CLONE_FILES 0x00000400
#define K_CLONE_NEWNS 0x00020000
#define K_CLONE_NEWCGROUP 0x02000000
#define K_CLONE_NEWUTS 0x04000000
#define K_CLONE_NEWIPC 0x08000000
#define K_CLONE_NEWUSER 0x10000000
#define K_CLONE_NEWPID 0x20000000
#define K_CLONE_NEWNET 0x40000000
#define K_CLONE_INTO_CGROUP 0x200000000ULL

// RESOLVE_*
#define K_RESOLVE_NO_XDEV 0x01
#define K_RESOLVE_BENEATH 0x08
#define K_RESOLVE_NO_MAGICLINKS 0x02
#define K_RESOLVE_NO_SYMLINKS 0x04
#define K_RESOLVE_IN_ROOT 0x10

// FSOPEN, FSCONFIG, FSMOUNT, MOUNT_ATTR, MOVE_MOUNT, OPEN_TREE
#define K_FSOPEN_CLOEXEC 1
#define K_FSCONFIG_SET_FLAG 0
#define K_FSCONFIG_SET_STRING 1
#define K_FSCONFIG_SET_FD 5
#define K_FSCONFIG_CMD_CREATE 6
#define K_FSMOUNT_CLOEXEC 1
#define K_ATTR_RDONLY 0x01
#define K_ATTR_NOSUID 0x02
#define K_ATTR_NODEV 0x04
#define K_ATTR_NOEXEC 0x08
#define K_ATTR_NOATIME 0x10
#define K_MOVE_F_EMPTY_PATH 0x04
#define K_MOVE_T_EMPTY_PATH 0x40
#define K_OPEN_TREE_CLONE 1
#define K_OPEN_TREE_CLOEXEC 02000000
#define K_AT_RECURSIVE 0x8000
#define K_AT_EMPTY_PATH 0x1000

#define K_CLOSE_RANGE_CLOEXEC 4
#define K_RENAME_NOREPLACE 1

// Magic of a file system, as statfs tells it.
#define K_PROC_MAGIC 0x9fa0
#define K_CGROUP2_MAGIC 0x63677270

// Each answers -1 with errno when the kernel refuses.
int k_clone3(struct kernel_clone_args *args);
int k_open_how(int directory, const char *path, const struct kernel_open_how *how);
int k_openat2(int directory, const char *path, int flags, uint64_t resolve);
int k_fsopen(const char *type);
int k_fsconfig(int context, unsigned command, const char *key, const void *value, int auxiliary);
int k_fsmount(int context, unsigned attributes);
int k_move_mount(int from, int to, const char *to_path);
int k_open_tree(int directory, const char *path, int recursive);
int k_mount_setattr(int mount, uint64_t set, int recursive);
int k_pivot_root(const char *new_root, const char *put_old);
int k_pidfd_send_signal(int pidfd, int signal);
int k_close_range(unsigned first, unsigned last, unsigned flags);

// What the C libraries wrap under names or versions that differ between them: glibc has fstat, fstatat and mknodat since 2.33
// only, getdents64 since 2.30; musl before 1.2.5 has no renameat2 and renames getdents64. The kernel's struct stat is theirs.
int k_fstat(int fd, struct stat *status);
// Of the name itself: no link is followed, nothing is mounted on the way.
int k_lstatat(int directory, const char *name, struct stat *status);
int k_mknodat(int directory, const char *name, mode_t mode, uint32_t major_number, uint32_t minor_number);
int k_renameat2(int old_directory, const char *old_name, int directory, const char *name, unsigned flags);
// Entries of `struct kernel_dirent`, each `size` bytes long; 0 at the end.
ssize_t k_getdents(int fd, void *buffer, size_t size);

// How the kernel packs the two halves of a device number.
static inline uint32_t k_major(uint64_t device) { return (uint32_t)(device >> 8 & 0xfff); }
static inline uint32_t k_minor(uint64_t device) { return (uint32_t)((device & 0xff) | (device >> 12 & 0xfff00)); }

#endif
