// Removes trees that a step wrote: any depth (names are stacked, descriptors are not), any mode, no link followed.
#define _GNU_SOURCE
#include "remove-tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kernel.h"

// How often a directory is emptied that is not empty then: somebody writes to it, or hides what is left.
#define EMPTY_ATTEMPTS 8

struct level {
  char *name;
  dev_t device;
  ino_t inode;
};

struct stack {
  struct level *levels;
  size_t depth, capacity;
};

static int push(struct stack *stack, const char *name, int parent) {
  struct stat status;
  if (fstat(parent, &status) < 0) return -1;
  if (stack->depth == stack->capacity) {
    size_t capacity = stack->capacity ? stack->capacity * 2 : 64;
    struct level *grown = realloc(stack->levels, capacity * sizeof *grown);
    if (!grown) return -1;
    stack->levels = grown;
    stack->capacity = capacity;
  }
  char *copy = strdup(name);
  if (!copy) return -1;
  stack->levels[stack->depth++] = (struct level){copy, status.st_dev, status.st_ino};
  return 0;
}

// Empties a directory of everything but directories with content; the first of those is written to `below`.
static int empty_directory(int directory, char *below) {
  below[0] = 0;
  int copy = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *entries = copy < 0 ? NULL : fdopendir(copy);
  if (!entries) return -1;
  struct dirent *entry;
  int result = 0;
  while (result == 0 && !below[0]) {
    errno = 0;
    if (!(entry = readdir(entries))) {
      if (errno) result = -1;
      break;
    }
    if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")) continue;
    if (unlinkat(directory, entry->d_name, 0) == 0) continue;
    if (errno != EISDIR && errno != EPERM) result = errno == ENOENT ? 0 : -1;
    else if (unlinkat(directory, entry->d_name, AT_REMOVEDIR) < 0) {
      if (errno == ENOTEMPTY || errno == EEXIST) strcpy(below, entry->d_name);
      else result = errno == ENOENT ? 0 : -1;
    }
  }
  int error = errno;
  closedir(entries);
  errno = error;
  return result;
}

// Removes a directory that was emptied and gives the one above, or the same again when an entry has shown up: some file
// systems skip entries while others are removed.
static int leave(struct stack *stack, int directory) {
  struct level level = stack->levels[stack->depth - 1];
  int parent = openat(directory, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  struct stat status;
  int error = parent < 0 || fstat(parent, &status) < 0 ? errno : 0;
  // Whoever moves a directory while it is removed must not lead us elsewhere.
  if (!error && (status.st_dev != level.device || status.st_ino != level.inode)) error = ESTALE;
  if (!error && unlinkat(parent, level.name, AT_REMOVEDIR) < 0 && errno != ENOENT) error = errno;
  if (error == ENOTEMPTY || error == EEXIST) {
    close(parent);
    return directory;
  }
  close(directory);
  if (error) {
    if (parent >= 0) close(parent);
    return errno = error, -1;
  }
  free(level.name);
  stack->depth--;
  return parent;
}

// A directory of the same file system, by no link: a mount would lead to somebody's files.
static int enter(int parent, const char *name) {
  return k_openat2(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, K_RESOLVE_NO_XDEV | K_RESOLVE_NO_SYMLINKS | K_RESOLVE_BENEATH);
}

static int remove_below(int parent, const char *name) {
  struct stack stack = {0};
  char below[NAME_MAX + 1];
  int result = -1, again = 0;
  int directory = enter(parent, name);
  if (directory < 0 || push(&stack, name, parent) < 0) goto out;
  while (stack.depth > 0) {
    if (empty_directory(directory, below) < 0) goto out;
    if (!below[0]) {
      int above = leave(&stack, directory);
      again = above == directory ? again + 1 : 0;
      directory = above;
      if (again > EMPTY_ATTEMPTS) errno = ENOTEMPTY;
      if (directory < 0 || again > EMPTY_ATTEMPTS) goto out;
      continue;
    }
    int next = enter(directory, below);
    if (next < 0) goto out;
    if (push(&stack, below, directory) < 0) {
      int error = errno;
      close(next);
      errno = error;
      goto out;
    }
    close(directory);
    directory = next;
  }
  result = 0;
out:;
  int error = errno;
  if (directory >= 0) close(directory);
  while (stack.depth > 0) free(stack.levels[--stack.depth].name);
  free(stack.levels);
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
  int result = unlinkat(parent, slash + 1, 0);
  if (result < 0 && (errno == EISDIR || errno == EPERM)) result = remove_below(parent, slash + 1);
  int error = errno;
  close(parent);
  errno = error;
  return result < 0 && errno == ENOENT ? 0 : result;
}
