#define _GNU_SOURCE
#include "kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
  NR_open_tree = 428,
  NR_move_mount = 429,
  NR_fsopen = 430,
  NR_fsconfig = 431,
  NR_fsmount = 432,
  NR_pidfd_send_signal = 424,
  NR_clone3 = 435,
  NR_close_range = 436,
  NR_openat2 = 437,
  NR_mount_setattr = 442,
};

int k_clone3(struct kernel_clone_args *args) { return (int)syscall(NR_clone3, args, sizeof *args); }

int k_open_how(int directory, const char *path, const struct kernel_open_how *how) { return (int)syscall(NR_openat2, directory, path, how, sizeof *how); }

int k_openat2(int directory, const char *path, int flags, uint64_t resolve) {
  const struct kernel_open_how how = {.flags = (uint64_t)(unsigned)flags | O_CLOEXEC, .resolve = resolve};
  // EAGAIN: something on the machine was renamed or mounted while `..` was resolved; the kernel asks us to try again.
  for (int attempt = 0; attempt < 64; attempt++) {
    int fd = k_open_how(directory, path, &how);
    if (fd >= 0 || errno != EAGAIN) return fd;
  }
  return -1;
}

int k_fsopen(const char *type) { return (int)syscall(NR_fsopen, type, K_FSOPEN_CLOEXEC); }

int k_fsconfig(int context, unsigned command, const char *key, const void *value, int auxiliary) {
  return (int)syscall(NR_fsconfig, context, command, key, value, auxiliary);
}

int k_fsmount(int context, unsigned attributes) { return (int)syscall(NR_fsmount, context, K_FSMOUNT_CLOEXEC, attributes); }

int k_move_mount(int from, int to, const char *to_path) {
  unsigned flags = K_MOVE_F_EMPTY_PATH | (*to_path ? 0 : K_MOVE_T_EMPTY_PATH);
  return (int)syscall(NR_move_mount, from, "", to, to_path, flags);
}

int k_open_tree(int directory, const char *path, int recursive) {
  unsigned flags = K_OPEN_TREE_CLONE | K_OPEN_TREE_CLOEXEC | (recursive ? K_AT_RECURSIVE : 0) | (*path ? 0 : K_AT_EMPTY_PATH);
  return (int)syscall(NR_open_tree, directory, path, flags);
}

int k_mount_setattr(int mount, uint64_t set, int recursive) {
  struct kernel_mount_attr attributes = {.attr_set = set};
  return (int)syscall(NR_mount_setattr, mount, "", K_AT_EMPTY_PATH | (recursive ? K_AT_RECURSIVE : 0), &attributes, sizeof attributes);
}

int k_pivot_root(const char *new_root, const char *put_old) { return (int)syscall(SYS_pivot_root, new_root, put_old); }

int k_pidfd_send_signal(int pidfd, int signal) { return (int)syscall(NR_pidfd_send_signal, pidfd, signal, NULL, 0); }

int k_close_range(unsigned first, unsigned last, unsigned flags) { return (int)syscall(NR_close_range, first, last, flags); }

#if defined(__x86_64__)
_Static_assert(sizeof(struct stat) == 144, "the kernel writes it");
#elif defined(__aarch64__)
_Static_assert(sizeof(struct stat) == 128, "the kernel writes it");
#endif

int k_fstat(int fd, struct stat *status) { return (int)syscall(SYS_fstat, fd, status); }

int k_lstatat(int directory, const char *name, struct stat *status) {
  return (int)syscall(SYS_newfstatat, directory, name, status, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT);
}

int k_mknodat(int directory, const char *name, mode_t mode, uint32_t major_number, uint32_t minor_number) {
  uint32_t device = (minor_number & 0xff) | major_number << 8 | (minor_number & ~0xffu) << 12;
  return (int)syscall(SYS_mknodat, directory, name, mode, device);
}

int k_renameat2(int old_directory, const char *old_name, int directory, const char *name, unsigned flags) {
  return (int)syscall(SYS_renameat2, old_directory, old_name, directory, name, flags);
}

ssize_t k_getdents(int fd, void *buffer, size_t size) { return syscall(SYS_getdents64, fd, buffer, size); }
