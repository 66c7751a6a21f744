#define _GNU_SOURCE
#include "moved-tree.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../common/kernel.h"
#include "failure.h"
#include "moved-journal.h"
#include "resolve.h"

int make_moved_directory(const char *state, uint32_t id) {
  char path[PATH_MAX + 32];
  snprintf(path, sizeof path, "%s/" MOVED_PREFIX "%u", state, id);
  if (mkdir(path, 0700) < 0) step_fail(errno, "make %s", path);
  int directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0 || flock(directory, LOCK_EX) < 0) step_fail(errno, "lock %s", path);
  return directory;
}

int open_moved_directory(const char *state, uint32_t id, char path[PATH_MAX + 32]) {
  snprintf(path, PATH_MAX + 32, "%s/" MOVED_PREFIX "%u", state, id);
  return open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

// For as long as a process of the step lives: what another one put in would be taken for the root's own.
static void hold_root(int root, const char *path) {
  int held = openat(root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (held < 0) step_fail(errno, "open %s", path);
  if (flock(held, LOCK_EX | LOCK_NB) == 0) return;
  step_fail(errno == EWOULDBLOCK ? EBUSY : errno, "take %s as a root, which isolation chroot gives to one process at a time", path);
}

void begin_moved_tree(struct moved_tree *tree, int directory, const char *root) {
  *tree = (struct moved_tree){.directory = directory};
  tree->root = open(root, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (tree->root < 0) step_fail(errno, "open %s", root);
  hold_root(tree->root, root);
  tree->journal = openat(directory, JOURNAL_NAME, O_RDWR | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0600);
  if (tree->journal < 0) step_fail(errno, "make the step's journal");
  write_journal(tree->journal, &(struct moved){.kind = MOVED_ROOT}, root, "");
}

// The directory of a resolved path that exists, and the rest.
static int open_parent(const struct moved_tree *tree, const char *path, const char **name) {
  char parent[PATH_MAX] = ".";
  const char *slash = strrchr(path, '/');
  *name = slash ? slash + 1 : path;
  if (slash) snprintf(parent, sizeof parent, "%.*s", (int)(slash - path), path);
  int fd = k_openat2(tree->root, parent, O_PATH | O_DIRECTORY, K_RESOLVE_BENEATH | K_RESOLVE_NO_SYMLINKS);
  if (fd < 0) step_fail(errno, "open /%s in the step's root", parent);
  return fd;
}

// The directory that an entry appears in keeps its times, if the step leaves it alone.
static void note_times(const struct moved_tree *tree, const char *path) {
  const char *slash = strrchr(path, '/');
  char parent[PATH_MAX] = ".";
  struct stat status;
  if (slash) snprintf(parent, sizeof parent, "%.*s", (int)(slash - path), path);
  if (fstatat(tree->root, parent, &status, AT_SYMLINK_NOFOLLOW) < 0) step_fail(errno, "read /%s", parent);
  write_journal(tree->journal, &(struct moved){.kind = MOVED_TIME, .sec = status.st_mtim.tv_sec, .nsec = status.st_mtim.tv_nsec}, parent, "");
}

static void make_parents(const struct moved_tree *tree, const struct resolved *resolved) {
  char part[PATH_MAX];
  for (size_t end = resolved->existing + 1; end < strlen(resolved->path); end++) {
    if (resolved->path[end] != '/') continue;
    snprintf(part, sizeof part, "%.*s", (int)end, resolved->path);
    write_journal(tree->journal, &(struct moved){.kind = MOVED_PARENT}, part, "");
    if (mkdirat(tree->root, part, 0755) < 0) step_fail(errno, "make /%s", part);
  }
}

static void put_aside(struct moved_tree *tree, const char *path) {
  char name[32];
  const char *last;
  snprintf(name, sizeof name, "aside-%u", tree->aside++);
  write_journal(tree->journal, &(struct moved){.kind = MOVED_ASIDE}, path, name);
  int parent = open_parent(tree, path, &last);
  if (renameat(parent, last, tree->directory, name) < 0) step_fail(errno, "mount target /%s: put aside what lies there", path);
  close(parent);
}

// Frees the place; its path, resolved, and what lay there (0: nothing).
static mode_t clear_place(struct moved_tree *tree, const char *path, bool file, char place[PATH_MAX]) {
  struct resolved resolved;
  struct stat status = {0};
  if (resolve_in_root(tree->root, path, &resolved) < 0) step_fail(errno, "mount target %s", path);
  if (!*resolved.path) step_fail(EPERM, "mount target %s is the root of the step", path);
  snprintf(place, PATH_MAX, "%s", resolved.path);
  if (resolved.missing) {
    char first[PATH_MAX];
    const char *end = strchr(resolved.path + resolved.existing + 1, '/');
    snprintf(first, sizeof first, "%.*s", end ? (int)(end - resolved.path) : (int)strlen(resolved.path), resolved.path);
    note_times(tree, first);
    make_parents(tree, &resolved);
  } else {
    if (fstat(resolved.fd, &status) < 0) step_fail(errno, "mount target %s", path);
    if (S_ISDIR(status.st_mode) == file) step_fail(file ? EISDIR : ENOTDIR, "mount target %s", path);
    note_times(tree, resolved.path);
    put_aside(tree, resolved.path);
  }
  close(resolved.fd);
  return status.st_mode;
}

// In a layer that it was moved or linked into, it would be left.
static void expect_to_stay(const struct moved_tree *tree, const char *place, int fd) {
  struct stat status;
  if (fstat(fd, &status) < 0) step_fail(errno, "read /%s", place);
  write_journal(tree->journal, &(struct moved){.kind = MOVED_STAYS, .sec = (int64_t)status.st_dev, .nsec = (int64_t)status.st_ino}, place, "");
}

static int make_directory(const struct moved_tree *tree, const char *place, mode_t mode) {
  const char *name;
  write_journal(tree->journal, &(struct moved){.kind = MOVED_MADE}, place, "");
  int parent = open_parent(tree, place, &name);
  int fd = mkdirat(parent, name, 0700) < 0 ? -1 : openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0 || fchmod(fd, mode) < 0) step_fail(errno, "make /%s", place);
  close(parent);
  expect_to_stay(tree, place, fd);
  return fd;
}

int put_directory(struct moved_tree *tree, const char *path, mode_t mode) {
  char place[PATH_MAX];
  mode_t before = clear_place(tree, path, false, place);
  return make_directory(tree, place, mode ? mode : before ? before & 07777 : 01777);
}

int put_top_directory(struct moved_tree *tree, const char *name, mode_t mode) {
  struct stat status;
  if (fstatat(tree->root, name, &status, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISDIR(status.st_mode)) step_fail(ELOOP, "mount target /%s: a link in the image", name);
  char path[16];
  snprintf(path, sizeof path, "/%s", name);
  return put_directory(tree, path, mode);
}

static int put_file_at(struct moved_tree *tree, const char *path, char place[PATH_MAX], const void *content, size_t length, mode_t mode, uid_t uid, gid_t gid) {
  const char *name;
  clear_place(tree, path, true, place);
  write_journal(tree->journal, &(struct moved){.kind = MOVED_MADE}, place, "");
  int parent = open_parent(tree, place, &name);
  int fd = openat(parent, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0) step_fail(errno, "make /%s", place);
  close(parent);
  for (const char *at = content; length > 0;) {
    ssize_t written = write(fd, at, length);
    if (written < 0) step_fail(errno, "write /%s", place);
    at += written;
    length -= (size_t)written;
  }
  if (fchown(fd, uid, gid) < 0 || fchmod(fd, mode) < 0) step_fail(errno, "set the owner of /%s", place);
  return fd;
}

int put_secret(struct moved_tree *tree, const char *path, const void *content, size_t length, mode_t mode, uid_t uid, gid_t gid) {
  char place[PATH_MAX];
  int fd = put_file_at(tree, path, place, content, length, mode, uid, gid);
  expect_to_stay(tree, place, fd);
  return fd;
}

int put_file(struct moved_tree *tree, const char *path, const void *content, size_t length) {
  char place[PATH_MAX];
  return put_file_at(tree, path, place, content, length, 0644, 0, 0);
}

void put_moved(struct moved_tree *tree, const char *path, const char *source) {
  char place[PATH_MAX];
  struct stat status;
  const char *name;
  if (lstat(source, &status) < 0) step_fail(errno, "mount %s: source %s", path, source);
  if (S_ISLNK(status.st_mode)) step_fail(ELOOP, "mount %s: source %s", path, source);
  clear_place(tree, path, !S_ISDIR(status.st_mode), place);
  struct moved moved = {.kind = MOVED_IN, .sec = (int64_t)status.st_dev, .nsec = (int64_t)status.st_ino};
  write_journal(tree->journal, &moved, place, source);
  int parent = open_parent(tree, place, &name);
  if (k_renameat2(AT_FDCWD, source, parent, name, K_RENAME_NOREPLACE) < 0) step_fail(errno, "mount %s: move %s into the step's root", path, source);
  close(parent);
}

void settle_moved_tree(struct moved_tree *tree) { settle_journal(tree->journal, tree->root); }
