// Removes trees that a step wrote, level by level: a stack of names, of which only the lowest levels hold a descriptor.
#define _GNU_SOURCE
#include "remove-tree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "chmod-at.h"
#include "kernel.h"

// Directories that stay open on the way down; those above are closed, and opened again by `..` on the way up.
#define OPEN_LEVELS 64
// How often a directory is listed that is not empty then: somebody writes to it, or the file system skips entries while
// others are removed.
#define PASSES 8

struct level {
  int fd;       // -1 while it is closed; its place is then known by the next two
  dev_t device;
  ino_t inode;
  char *names;  // NUL after NUL: removing while reading skips entries on some file systems
  size_t length, capacity;
  size_t next;  // the name that is worked on
  unsigned passes;
  bool opened_up;
};

struct removal {
  int directory; // of the caller
  const char *name;
  struct level *levels;
  size_t depth, capacity;
};

enum outcome { REFUSED = -1, REMOVED, FILLED_DIRECTORY };

static int list(struct level *level) {
  char buffer[32768] __attribute__((aligned(8)));
  level->length = level->next = 0;
  for (;;) {
    ssize_t got = k_getdents(level->fd, buffer, sizeof buffer);
    if (got <= 0) return (int)got;
    for (ssize_t at = 0; at < got;) {
      const struct kernel_dirent *entry = (const void *)(buffer + at);
      at += entry->size;
      if (!strcmp(entry->name, ".") || !strcmp(entry->name, "..")) continue;
      size_t size = strlen(entry->name) + 1;
      if (level->length + size > level->capacity) {
        size_t capacity = (level->capacity + size) * 2;
        char *grown = realloc(level->names, capacity);
        if (!grown) return -1;
        level->names = grown;
        level->capacity = capacity;
      }
      memcpy(level->names + level->length, entry->name, size);
      level->length += size;
    }
  }
}

// Without r, w and x of our own nothing in a directory can be removed. Only its owner may change that.
static bool open_up(struct level *level) {
  if (!level || level->opened_up) return false;
  level->opened_up = true;
  return fchmod(level->fd, 0700) == 0;
}

// `level` is the directory itself where it is one of ours; NULL: the caller's, whose mode is not touched.
static enum outcome remove_entry(int directory, struct level *level, const char *name) {
  int result = unlinkat(directory, name, 0);
  if (result < 0 && errno == EACCES && open_up(level)) result = unlinkat(directory, name, 0);
  if (result == 0 || errno == ENOENT) return REMOVED;
  // EISDIR is Linux's answer for a directory, EPERM that of POSIX.
  if (errno != EISDIR && errno != EPERM) return REFUSED;
  if (errno == EPERM) {
    struct stat status;
    if (k_lstatat(directory, name, &status) == 0 && !S_ISDIR(status.st_mode)) return errno = EPERM, REFUSED;
  }
  if (unlinkat(directory, name, AT_REMOVEDIR) == 0 || errno == ENOENT) return REMOVED;
  return errno == ENOTEMPTY || errno == EEXIST ? FILLED_DIRECTORY : REFUSED;
}

// A directory of the same file system, by no link: a mount would lead to somebody's files.
static int open_directory(int directory, const char *name) {
  const uint64_t resolution = K_RESOLVE_NO_XDEV | K_RESOLVE_NO_SYMLINKS | K_RESOLVE_BENEATH;
  int fd = k_openat2(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, resolution);
  if (fd < 0 && errno == EACCES) {
    if (chmod_at(directory, name, 0700) != 0) return errno = EACCES, -1;
    fd = k_openat2(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, resolution);
  }
  if (fd < 0 && errno == EXDEV) errno = EBUSY;
  return fd;
}

// Frees the descriptor of the level that is OPEN_LEVELS above the lowest one.
static int close_upper(struct removal *removal) {
  if (removal->depth < OPEN_LEVELS) return 0;
  struct level *level = &removal->levels[removal->depth - OPEN_LEVELS];
  struct stat status;
  if (level->fd < 0) return 0;
  if (k_fstat(level->fd, &status) < 0) return -1;
  level->device = status.st_dev;
  level->inode = status.st_ino;
  close(level->fd);
  level->fd = -1;
  return 0;
}

static void advance(struct removal *removal) {
  if (removal->depth == 0) return;
  struct level *level = &removal->levels[removal->depth - 1];
  level->next += strlen(level->names + level->next) + 1;
}

static int enter(struct removal *removal, int directory, const char *name) {
  if (removal->depth == removal->capacity) {
    size_t capacity = removal->capacity ? removal->capacity * 2 : 16;
    struct level *grown = realloc(removal->levels, capacity * sizeof *grown);
    if (!grown) return -1;
    removal->levels = grown;
    removal->capacity = capacity;
  }
  int fd = open_directory(directory, name);
  // Somebody else was faster.
  if (fd < 0 && errno == ENOENT) return advance(removal), 0;
  if (fd < 0 || close_upper(removal) < 0) {
    int error = errno;
    if (fd >= 0) close(fd);
    return errno = error, -1;
  }
  removal->levels[removal->depth++] = (struct level){.fd = fd};
  return list(&removal->levels[removal->depth - 1]);
}

// The directory above `level`: a descriptor that stays, or -1. Whoever moves a directory while it is removed must not lead
// us elsewhere.
static int parent_of(struct removal *removal) {
  if (removal->depth == 1) return removal->directory;
  struct level *level = &removal->levels[removal->depth - 1], *parent = level - 1;
  struct stat status;
  if (parent->fd >= 0) return parent->fd;
  int fd = openat(level->fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return -1;
  if (k_fstat(fd, &status) < 0 || status.st_dev != parent->device || status.st_ino != parent->inode) {
    close(fd);
    return errno = ESTALE, -1;
  }
  return parent->fd = fd;
}

static const char *name_of(const struct removal *removal, size_t depth) {
  if (depth == 0) return removal->name;
  const struct level *parent = &removal->levels[depth - 1];
  return parent->names + parent->next;
}

// Removes the lowest level, whose entries are gone, or lists it again.
static int leave(struct removal *removal) {
  struct level *level = &removal->levels[removal->depth - 1];
  int parent = parent_of(removal);
  if (parent < 0) return -1;
  struct level *above = removal->depth > 1 ? level - 1 : NULL;
  const char *name = name_of(removal, removal->depth - 1);
  int result = unlinkat(parent, name, AT_REMOVEDIR);
  if (result < 0 && errno == EACCES && open_up(above)) result = unlinkat(parent, name, AT_REMOVEDIR);
  if (result < 0 && (errno == ENOTEMPTY || errno == EEXIST) && ++level->passes < PASSES) return lseek(level->fd, 0, SEEK_SET) < 0 ? -1 : list(level);
  if (result < 0 && errno != ENOENT) return -1;
  close(level->fd);
  free(level->names);
  removal->depth--;
  advance(removal);
  return 0;
}

static int remove_levels(struct removal *removal) {
  if (enter(removal, removal->directory, removal->name) < 0) return -1;
  while (removal->depth > 0) {
    struct level *level = &removal->levels[removal->depth - 1];
    if (level->next == level->length) {
      if (leave(removal) < 0) return -1;
      continue;
    }
    const char *name = level->names + level->next;
    switch (remove_entry(level->fd, level, name)) {
    case REMOVED: advance(removal); break;
    case FILLED_DIRECTORY:
      if (enter(removal, level->fd, name) < 0) return -1;
      break;
    case REFUSED: return -1;
    }
  }
  return 0;
}

static void tell_stop(const struct removal *removal, struct removal_stop *stop) {
  stop->length = 0;
  for (size_t depth = 0; depth <= removal->depth; depth++) {
    // Between two names nothing is worked on: the directory itself could not be removed.
    if (depth > 0 && removal->levels[depth - 1].next == removal->levels[depth - 1].length) return;
    const char *name = name_of(removal, depth);
    size_t length = strlen(name);
    if (stop->length + length + 1 >= sizeof stop->path) return;
    if (depth > 0) stop->path[stop->length++] = '/';
    memcpy(stop->path + stop->length, name, length);
    stop->length += length;
  }
}

int remove_tree_at(int directory, const char *name, struct removal_stop *stop) {
  struct removal removal = {.directory = directory, .name = name};
  enum outcome outcome = remove_entry(directory, NULL, name);
  int result = outcome == FILLED_DIRECTORY ? remove_levels(&removal) : (int)outcome;
  int error = errno;
  if (result < 0 && stop) tell_stop(&removal, stop);
  while (removal.depth > 0) {
    struct level *level = &removal.levels[--removal.depth];
    if (level->fd >= 0) close(level->fd);
    free(level->names);
  }
  free(removal.levels);
  errno = error;
  return result;
}

int remove_tree(const char *path) {
  char parent_path[PATH_MAX];
  const char *slash = strrchr(path, '/');
  if (!slash || !slash[1] || (size_t)(slash - path) >= sizeof parent_path) return errno = EINVAL, -1;
  memcpy(parent_path, path, (size_t)(slash - path));
  parent_path[slash - path] = 0;
  int parent = open(*parent_path ? parent_path : "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (parent < 0) return errno == ENOENT ? 0 : -1;
  int result = remove_tree_at(parent, slash + 1, NULL);
  int error = errno;
  close(parent);
  errno = error;
  return result;
}
