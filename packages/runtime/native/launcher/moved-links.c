#define _GNU_SOURCE
#include "moved-links.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "../common/kernel.h"

// One descriptor each; what is deeper no program made that means well.
#define DEPTH_LIMIT 400
#define SPARE_NAME "parted"

// A name of a file that has several.
struct linked {
  struct stat status;
  char *path; // below the parent
};

struct found {
  struct linked *items;
  size_t count;
};

static bool note(struct found *found, const char *path, const struct stat *status) {
  struct linked *grown = realloc(found->items, (found->count + 1) * sizeof *grown);
  if (!grown) return false;
  found->items = grown;
  char *copy = strdup(path);
  if (!copy) return false;
  found->items[found->count++] = (struct linked){.status = *status, .path = copy};
  return true;
}

static bool find_linked(int parent, const char *name, const char *path, unsigned depth, struct found *found);

static bool find_below(int directory, const char *path, unsigned depth, struct found *found) {
  DIR *entries = fdopendir(directory);
  if (!entries) return close(directory), false;
  struct dirent *entry;
  bool done = true;
  while (done && (errno = 0, entry = readdir(entries))) {
    char below[PATH_MAX];
    if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")) continue;
    if (snprintf(below, sizeof below, "%s/%s", path, entry->d_name) >= (int)sizeof below) errno = ENAMETOOLONG, done = false;
    else done = find_linked(dirfd(entries), entry->d_name, below, depth + 1, found);
  }
  int error = errno;
  closedir(entries);
  errno = error;
  return done && !error;
}

static bool find_linked(int parent, const char *name, const char *path, unsigned depth, struct found *found) {
  struct stat status;
  if (fstatat(parent, name, &status, AT_SYMLINK_NOFOLLOW) < 0) return false;
  if (!S_ISDIR(status.st_mode)) return S_ISSOCK(status.st_mode) || status.st_nlink < 2 || note(found, path, &status);
  if (depth > DEPTH_LIMIT) return errno = ELOOP, false;
  int directory = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  return directory >= 0 && find_below(directory, path, depth, found);
}

// Holes stay holes.
static bool copy_content(int from, int to, off_t size) {
  for (off_t at = 0; at < size;) {
    off_t data = lseek(from, at, SEEK_DATA);
    if (data < 0 && errno == ENXIO) break;
    off_t end = data < 0 ? -1 : lseek(from, data, SEEK_HOLE);
    if (end < 0 || lseek(to, data, SEEK_SET) < 0) return false;
    while (data < end) {
      ssize_t sent = sendfile(to, from, &data, (size_t)(end - data));
      if (sent <= 0) return false;
    }
    at = end;
  }
  return ftruncate(to, size) == 0;
}

static bool copy_attributes(int from, int to) {
  static char names[65536], value[65536];
  ssize_t length = flistxattr(from, names, sizeof names);
  if (length < 0) return errno == EOPNOTSUPP;
  for (ssize_t at = 0; at < length; at += (ssize_t)strlen(names + at) + 1) {
    ssize_t size = fgetxattr(from, names + at, value, sizeof value);
    if (size < 0 || fsetxattr(to, names + at, value, (size_t)size, 0) < 0) return false;
  }
  return true;
}

static bool copy_file(int directory, const char *name, const struct stat *status, int spare) {
  const struct timespec times[2] = {status->st_atim, status->st_mtim};
  int from = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  int to = from < 0 ? -1 : openat(spare, SPARE_NAME, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  // The owner first: a change of it takes capabilities and set-id bits away.
  bool done = to >= 0 && copy_content(from, to, status->st_size) && fchown(to, status->st_uid, status->st_gid) == 0 && copy_attributes(from, to) &&
              fchmod(to, status->st_mode & 07777) == 0 && futimens(to, times) == 0;
  int error = errno;
  if (from >= 0) close(from);
  if (to >= 0) close(to);
  errno = error;
  return done;
}

static bool copy_special(int directory, const char *name, const struct stat *status, int spare) {
  const struct timespec times[2] = {status->st_atim, status->st_mtim};
  char target[PATH_MAX] = {0};
  if (S_ISLNK(status->st_mode)) {
    if (readlinkat(directory, name, target, sizeof target - 1) < 0 || symlinkat(target, spare, SPARE_NAME) < 0) return false;
  } else if (mknodat(spare, SPARE_NAME, status->st_mode, status->st_rdev) < 0) return false;
  return fchownat(spare, SPARE_NAME, status->st_uid, status->st_gid, AT_SYMLINK_NOFOLLOW) == 0 && utimensat(spare, SPARE_NAME, times, AT_SYMLINK_NOFOLLOW) == 0;
}

static int open_directory_of(int parent, const char *path, const char **name) {
  char above[PATH_MAX] = ".";
  const char *slash = strrchr(path, '/');
  *name = slash ? slash + 1 : path;
  if (slash) snprintf(above, sizeof above, "%.*s", (int)(slash - path), path);
  return k_openat2(parent, above, O_RDONLY | O_DIRECTORY, K_RESOLVE_BENEATH | K_RESOLVE_NO_SYMLINKS);
}

// Makes `linked` a file of its own, or a name of the one that `first` became.
static bool part(int parent, const struct linked *linked, const struct linked *first, int spare) {
  const char *name, *first_name;
  int directory = open_directory_of(parent, linked->path, &name);
  int other = first ? open_directory_of(parent, first->path, &first_name) : -1;
  bool done = directory >= 0 && (unlinkat(spare, SPARE_NAME, 0) == 0 || errno == ENOENT);
  if (done && first) done = other >= 0 && linkat(other, first_name, spare, SPARE_NAME, 0) == 0;
  else if (done) done = (S_ISREG(linked->status.st_mode) ? copy_file : copy_special)(directory, name, &linked->status, spare);
  done = done && renameat(spare, SPARE_NAME, directory, name) == 0;
  int error = errno;
  if (directory >= 0) close(directory);
  if (other >= 0) close(other);
  errno = error;
  return done;
}

static int by_file(const void *a, const void *b) {
  const struct stat *left = &((const struct linked *)a)->status, *right = &((const struct linked *)b)->status;
  if (left->st_ino != right->st_ino) return left->st_ino < right->st_ino ? -1 : 1;
  return left->st_dev < right->st_dev ? -1 : left->st_dev > right->st_dev;
}

bool part_from_links(int parent, const char *name, int spare) {
  struct found found = {0};
  bool done = find_linked(parent, name, name, 0, &found);
  if (found.count > 1) qsort(found.items, found.count, sizeof *found.items, by_file);
  for (size_t i = 0, next; done && i < found.count; i = next) {
    for (next = i + 1; next < found.count && by_file(&found.items[i], &found.items[next]) == 0;) next++;
    // All names are here: nobody else has it.
    if (next - i == found.items[i].status.st_nlink) continue;
    for (size_t j = i; done && j < next; j++) done = part(parent, &found.items[j], j > i ? &found.items[i] : NULL, spare);
  }
  int error = errno;
  for (size_t i = 0; i < found.count; i++) free(found.items[i].path);
  free(found.items);
  errno = error;
  return done;
}
