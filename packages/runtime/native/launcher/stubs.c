// Mount points that the image does not have. They lie in lower layers of ours, so the step's upper directory never
// sees them, and nothing has to be removed from it afterwards.
#define _GNU_SOURCE
#include "stubs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../common/kernel.h"
#include "../supervisor/record.h"
#include "failure.h"
#include "resolve.h"

static int enter_stub_directory(const char *directory) {
  if (mkdir(directory, 0755) < 0 && errno != EEXIST) step_fail(errno, "make %s", directory);
  int fd = open(directory, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) step_fail(errno, "open %s", directory);
  return fd;
}

void make_low_stubs(const char *directory, const struct target *targets, size_t count) {
  int stubs = enter_stub_directory(directory);
  for (size_t i = 0; i < count; i++) {
    struct resolved resolved;
    int fd = -1;
    if (resolve_in_root(stubs, targets[i].path, &resolved) == 0) {
      if (resolved.missing) fd = create_missing(&resolved, &(struct new_place){.file = targets[i].file, .mode = targets[i].mode});
      close(resolved.fd);
    }
    // A target below a file of another target cannot be made here; attaching it says so by name.
    if (fd >= 0) close(fd);
  }
  close(stubs);
}

// Copies mode, owner and times of every directory that leads to a stub: the topmost layer's attributes are what shows.
static void copy_parents(int root, int stubs, const char *path, size_t existing, bool times) {
  for (size_t end = 1; end <= existing; end++) {
    if (end < existing && path[end] != '/') continue;
    char parent[PATH_MAX];
    memcpy(parent, path, end);
    parent[end] = 0;
    struct stat status;
    if (fstatat(root, parent, &status, AT_SYMLINK_NOFOLLOW) < 0) step_fail(errno, "read /%s", parent);
    if (times) {
      struct timespec moments[2] = {status.st_atim, status.st_mtim};
      utimensat(stubs, parent, moments, AT_SYMLINK_NOFOLLOW);
      continue;
    }
    if (mkdirat(stubs, parent, 0700) < 0 && errno != EEXIST) step_fail(errno, "make a mount point below /%s", parent);
    // An owner that the map does not know cannot be set; it shows as the overflow id either way.
    if (fchownat(stubs, parent, status.st_uid, status.st_gid, AT_SYMLINK_NOFOLLOW) < 0 && errno != EINVAL && errno != EPERM)
      step_fail(errno, "set the owner of a mount point below /%s", parent);
    int stub = openat(stubs, parent, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (stub >= 0) copy_record(root, parent, stub);
    if (stub >= 0) close(stub);
    if (fchmodat(stubs, parent, status.st_mode & 07777, 0) < 0) step_fail(errno, "set the mode of /%s", parent);
  }
}

static bool lies_below(const char *path, const char *parent) {
  size_t length = strlen(parent);
  return !strncmp(path, parent, length) && (length == 0 || path[length] == '/' || path[length] == 0);
}

bool make_top_stubs(int root, const char *directory, const struct target *targets, size_t count) {
  char **places = calloc(count, sizeof *places);
  if (!places) step_fail(ENOMEM, "memory");
  size_t known = 0;
  int stubs = -1;
  for (size_t i = 0; i < count; i++) {
    struct resolved resolved;
    if (resolve_in_root(root, targets[i].path, &resolved) < 0) step_fail(errno, "mount target %s", targets[i].path);
    bool inside = false;
    // Below an earlier target it is made in what is mounted there.
    for (size_t j = 0; j < known && !inside; j++) inside = lies_below(resolved.path, places[j]);
    if (targets[i].no_links && strcmp(resolved.path, targets[i].path + 1)) step_fail(ELOOP, "mount target %s: a link in the image", targets[i].path);
    if (!inside && !(places[known++] = strdup(resolved.path))) step_fail(ENOMEM, "memory");
    if (resolved.missing && !inside) {
      if (stubs < 0) stubs = enter_stub_directory(directory);
      copy_parents(root, stubs, resolved.path, resolved.existing, false);
      struct resolved place;
      int fd = resolve_in_root(stubs, resolved.path, &place) < 0 ? -1 : create_missing(&place, &(struct new_place){.file = targets[i].file, .mode = targets[i].mode});
      if (fd < 0) step_fail(errno, "make the mount point %s", targets[i].path);
      close(fd);
      close(place.fd);
      copy_parents(root, stubs, resolved.path, resolved.existing, true);
    }
    close(resolved.fd);
  }
  while (known > 0) free(places[--known]);
  free(places);
  if (stubs < 0) return false;
  struct stat status;
  // The stub layer's own root is what shows as `/`.
  if (fstat(root, &status) == 0) {
    (void)!fchownat(stubs, "", status.st_uid, status.st_gid, AT_EMPTY_PATH);
    (void)!fchmodat(stubs, ".", status.st_mode & 07777, 0);
    struct timespec moments[2] = {status.st_atim, status.st_mtim};
    utimensat(stubs, ".", moments, 0);
  }
  close(stubs);
  return true;
}
