// Paths that come from an image or a Dockerfile, followed inside a root: nothing leads out of it.
#define _GNU_SOURCE
#include "resolve.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "../common/kernel.h"
#include "../supervisor/record.h"

#define LINK_LIMIT 40

static int reopen(int root, const char *path, int flags) {
  return k_openat2(root, *path ? path : ".", O_PATH | flags, K_RESOLVE_IN_ROOT | K_RESOLVE_NO_MAGICLINKS | K_RESOLVE_NO_SYMLINKS);
}

// Cuts the first component off `todo` into `name`; false when none is left.
static bool next_component(char *todo, char *name) {
  char *from = todo + strspn(todo, "/");
  size_t length = strcspn(from, "/");
  if (length == 0) return false;
  memcpy(name, from, length);
  name[length] = 0;
  memmove(todo, from + length, strlen(from + length) + 1);
  return true;
}

static int push(char *path, const char *name) {
  size_t length = strlen(path);
  if (length + strlen(name) + 2 > PATH_MAX) return errno = ENAMETOOLONG, -1;
  sprintf(path + length, "%s%s", length ? "/" : "", name);
  return 0;
}

static void pop(char *path) {
  char *slash = strrchr(path, '/');
  *(slash ? slash : path) = 0;
}

// The rest of the path does not exist. A `..` in it takes back what is missing, as Docker has it; where nothing is left of
// that, the walk goes on.
static int push_missing(struct resolved *resolved, const char *name, char *todo) {
  char component[PATH_MAX];
  resolved->missing = true;
  resolved->existing = strlen(resolved->path);
  if (push(resolved->path, name) < 0) return -1;
  while (next_component(todo, component)) {
    if (!strcmp(component, ".")) continue;
    if (strcmp(component, "..")) {
      if (push(resolved->path, component) < 0) return -1;
      continue;
    }
    pop(resolved->path);
    if (strlen(resolved->path) > resolved->existing) continue;
    resolved->missing = false;
    return 0;
  }
  return 0;
}

static int follow_link(int link, char *todo, char *path) {
  char target[PATH_MAX * 2];
  ssize_t length = readlinkat(link, "", target, PATH_MAX);
  if (length < 0) return -1;
  target[length] = 0;
  if (length + strlen(todo) + 2 > PATH_MAX) return errno = ENAMETOOLONG, -1;
  strcat(strcat(target, "/"), todo);
  if (target[0] == '/') *path = 0;
  else pop(path);
  strcpy(todo, target);
  return 0;
}

// What a link of /proc says is not where it leads: /proc/1/root would be followed as the path that the host has for it.
static int refuse_magic_link(int root, int link, struct resolved *resolved) {
  struct statfs status;
  if (fstatfs(link, &status) < 0) return -1;
  if (status.f_type != K_PROC_MAGIC) return 0;
  int fd = k_openat2(root, resolved->path, O_PATH, K_RESOLVE_IN_ROOT | K_RESOLVE_NO_MAGICLINKS);
  if (fd < 0) return resolved->magic = true, -1;
  close(fd);
  return 0;
}

static int walk(int root, char *todo, struct resolved *resolved) {
  char name[PATH_MAX];
  int links = 0;
  while (next_component(todo, name)) {
    if (!strcmp(name, ".")) continue;
    if (!strcmp(name, "..")) {
      pop(resolved->path);
      continue;
    }
    size_t before = strlen(resolved->path);
    if (push(resolved->path, name) < 0) return -1;
    int fd = reopen(root, resolved->path, O_NOFOLLOW);
    if (fd < 0 && errno == ENOENT) {
      resolved->path[before] = 0;
      if (push_missing(resolved, name, todo) < 0) return -1;
      if (resolved->missing) return 0;
      continue;
    }
    struct stat status;
    if (fd < 0 || fstat(fd, &status) < 0) return -1;
    int result = 0;
    if (S_ISLNK(status.st_mode)) {
      if (++links > LINK_LIMIT) result = (errno = ELOOP, -1);
      else if ((result = refuse_magic_link(root, fd, resolved)) == 0) result = follow_link(fd, todo, resolved->path);
    } else if (!S_ISDIR(status.st_mode) && todo[strspn(todo, "/")]) result = (errno = ENOTDIR, -1);
    int error = errno;
    close(fd);
    errno = error;
    if (result < 0) return -1;
  }
  return 0;
}

int resolve_in_root(int root, const char *path, struct resolved *resolved) {
  char todo[PATH_MAX];
  *resolved = (struct resolved){.fd = -1};
  if (strlen(path) >= sizeof todo) return errno = ENAMETOOLONG, -1;
  strcpy(todo, path);
  if (walk(root, todo, resolved) < 0) return -1;
  if (!resolved->missing) resolved->existing = strlen(resolved->path);
  char existing[PATH_MAX];
  memcpy(existing, resolved->path, resolved->existing);
  existing[resolved->existing] = 0;
  resolved->fd = reopen(root, existing, resolved->missing ? O_DIRECTORY : 0);
  return resolved->fd < 0 ? -1 : 0;
}

int create_missing(const struct resolved *resolved, const struct new_place *place) {
  int at = fcntl(resolved->fd, F_DUPFD_CLOEXEC, 3);
  char todo[PATH_MAX], name[PATH_MAX];
  if (at < 0) return -1;
  strcpy(todo, resolved->path + resolved->existing);
  while (next_component(todo, name)) {
    bool last = !todo[strspn(todo, "/")], as_file = place->file && last;
    int made = as_file ? mknodat(at, name, S_IFREG | 0644, 0) : mkdirat(at, name, last && place->mode ? place->mode : 0755);
    // Another step that shares the directory may have made it meanwhile.
    if (made < 0 && errno != EEXIST) return close(at), -1;
    int next = openat(at, name, O_PATH | O_NOFOLLOW | O_CLOEXEC | (as_file ? 0 : O_DIRECTORY));
    if (next >= 0 && made == 0 && (place->uid || place->gid) && give_to(next, place->uid, place->gid) < 0) return close(at), close(next), -1;
    close(at);
    if (next < 0) return -1;
    at = next;
  }
  return at;
}
