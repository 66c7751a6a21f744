// Removes a whole tree by descriptors: follows no symlink, crosses no mount (a bind mount left in a snapshot would
// lead to somebody's files), opens up directories of ours whose mode forbids it, and takes trees of any depth.
#define _GNU_SOURCE
#include "call.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// Deeper directories are moved up to the top of the tree and removed from there: descriptors and stack stay bounded.
#define DEPTH_MAX 64

struct removal {
  int top;
  unsigned moved;
  // Path of what could not be removed, filled from its end.
  char path[TEXT_MAX];
  size_t start;
};

static int remove_entry(struct removal *removal, int directory, const char *name, unsigned depth);

static int fail(struct removal *removal, const char *name, int error) {
  size_t length = strlen(name);
  bool first = removal->start == sizeof removal->path;
  if (length + 1 > removal->start) return error;
  if (!first) removal->path[--removal->start] = '/';
  removal->start -= length;
  memcpy(removal->path + removal->start, name, length);
  return error;
}

static int open_directory(int directory, const char *name) {
  const uint64_t resolution = RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH;
  int fd = open_resolved(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, resolution);
  if (fd != -EACCES) return fd;
  int error = chmod_at(directory, name, 0700);
  return error != 0 ? -EACCES : open_resolved(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, resolution);
}

// All names of a directory, NUL after NUL: removing while reading skips entries on some file systems.
static int read_names(int fd, char **names, size_t *length) {
  size_t capacity = 0;
  char buffer[32768] __attribute__((aligned(8)));
  if (lseek(fd, 0, SEEK_SET) < 0) return -errno;
  for (;;) {
    ssize_t got = getdents64(fd, buffer, sizeof buffer);
    if (got <= 0) return got < 0 ? -errno : 0;
    for (ssize_t at = 0; at < got;) {
      const struct dirent64 *entry = (const void *)(buffer + at);
      at += entry->d_reclen;
      if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
      size_t size = strlen(entry->d_name) + 1;
      if (*length + size > capacity) {
        capacity = (capacity + size) * 2;
        char *moved = realloc(*names, capacity);
        if (moved == NULL) return -ENOMEM;
        *names = moved;
      }
      memcpy(*names + *length, entry->d_name, size);
      *length += size;
    }
  }
}

// Empties a directory. What moves up while it is emptied lands in `top`, so it is read again until nothing is left.
static int empty(struct removal *removal, int fd, unsigned depth) {
  for (;;) {
    char *names = NULL;
    size_t length = 0;
    int error = read_names(fd, &names, &length);
    for (size_t at = 0; at < length && error == 0; at += strlen(names + at) + 1) error = remove_entry(removal, fd, names + at, depth + 1);
    free(names);
    if (error != 0 || length == 0) return error;
  }
}

static int move_up(struct removal *removal, int directory, const char *name) {
  char unique[64];
  chmod_at(directory, name, 0700);
  do {
    snprintf(unique, sizeof unique, ".removed-%u", removal->moved++);
    if (renameat2(directory, name, removal->top, unique, 1 /* RENAME_NOREPLACE */) == 0) return 0;
  } while (errno == EEXIST);
  return -errno;
}

static int remove_directory(struct removal *removal, int directory, const char *name, unsigned depth) {
  if (unlinkat(directory, name, AT_REMOVEDIR) == 0 || errno == ENOENT) return 0;
  if (errno != ENOTEMPTY && errno != EEXIST) return fail(removal, name, -errno);
  if (depth > DEPTH_MAX) {
    int error = move_up(removal, directory, name);
    return error != 0 ? fail(removal, name, error) : 0;
  }
  int fd = open_directory(directory, name);
  if (fd < 0) return fail(removal, name, fd == -EXDEV ? -EBUSY : fd);
  struct stat status;
  // Without w and x of our own nothing in it can be removed. Only its owner may change that; the others find out below.
  if (fstat(fd, &status) == 0 && (status.st_mode & 0700) != 0700) fchmod(fd, 0700);
  if (depth == 0) removal->top = fd;
  int error = empty(removal, fd, depth);
  close(fd);
  if (error != 0) return fail(removal, name, error);
  if (unlinkat(directory, name, AT_REMOVEDIR) < 0 && errno != ENOENT) return fail(removal, name, -errno);
  return 0;
}

static int remove_entry(struct removal *removal, int directory, const char *name, unsigned depth) {
  if (unlinkat(directory, name, 0) == 0 || errno == ENOENT) return 0;
  // EISDIR is Linux's answer for a directory, EPERM that of POSIX.
  if (errno == EISDIR || errno == EPERM) {
    struct stat status;
    int saved = errno;
    if (fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(status.st_mode)) return remove_directory(removal, directory, name, depth);
    errno = saved;
  }
  return fail(removal, name, -errno);
}

napi_value native_remove_tree(napi_env env, napi_callback_info info) {
  napi_value arguments[2];
  call_arguments(env, info, 2, arguments);
  struct text name;
  struct removal removal = {.top = -1};
  removal.start = sizeof removal.path;
  int directory, error;
  if ((error = get_int(env, arguments[0], &directory)) || (error = get_name(env, arguments[1], &name))) return answer(env, error);
  error = remove_entry(&removal, directory, name.bytes, 0);
  if (error == 0) return answer(env, 0);
  return answer_failure(env, error, removal.path + removal.start, sizeof removal.path - removal.start);
}
