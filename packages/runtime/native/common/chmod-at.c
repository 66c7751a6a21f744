#define _GNU_SOURCE
#include "chmod-at.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kernel.h"

enum { NR_fchmodat2 = 452 };

int chmod_at(int directory, const char *name, mode_t mode) {
  static bool lacks_fchmodat2;
  if (!lacks_fchmodat2) {
    if (syscall(NR_fchmodat2, directory, name, mode, AT_SYMLINK_NOFOLLOW) == 0) return 0;
    // Linux < 6.6; a seccomp filter that is older than the call may say EPERM.
    if (errno != ENOSYS && errno != EPERM) return -errno;
    if (errno == ENOSYS) lacks_fchmodat2 = true;
  }
  // fchmodat follows symlinks, so the file is held by a descriptor first and changed through it.
  int fd = openat(directory, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return -errno;
  struct stat status;
  char path[32];
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  int error = 0;
  if (k_fstat(fd, &status) < 0) error = -errno;
  else if (S_ISLNK(status.st_mode)) error = -EOPNOTSUPP;
  else if (chmod(path, mode) < 0) error = -errno;
  close(fd);
  return error;
}
