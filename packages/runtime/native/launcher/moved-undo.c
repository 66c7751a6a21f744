#define _GNU_SOURCE
#include "moved-undo.h"

#include <dirent.h>
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
#include "../common/remove-tree.h"
#include "moved-journal.h"
#include "moved-links.h"

// What a step left may be a link at any place: none is followed.
static int open_parent_of(int root, const char *path, const char **name) {
  char parent[PATH_MAX] = ".";
  const char *slash = strrchr(path, '/');
  *name = slash ? slash + 1 : path;
  if (slash) snprintf(parent, sizeof parent, "%.*s", (int)(slash - path), path);
  return k_openat2(root, parent, O_PATH | O_DIRECTORY, K_RESOLVE_BENEATH | K_RESOLVE_NO_SYMLINKS);
}

static bool exists(int directory, const char *name) {
  struct stat status;
  return fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) == 0;
}

static bool move_back(int parent, const char *name, const struct line *line, int spare) {
  struct stat status;
  bool here = parent >= 0 && fstatat(parent, name, &status, AT_SYMLINK_NOFOLLOW) == 0 && (int64_t)status.st_ino == line->moved.nsec &&
              (int64_t)status.st_dev == line->moved.sec;
  // With what a layer has in common with it, a later step would change that layer.
  if (here && !part_from_links(parent, name, spare)) return false;
  // An empty directory that was made meanwhile gives way; what somebody filled stays, and this one goes with the step's root.
  if (here && renameat(parent, name, AT_FDCWD, line->other) < 0 && errno != ENOTEMPTY && errno != EEXIST) return false;
  if (here) return true;
  // It was never moved, or is back already.
  if (lstat(line->other, &status) == 0 && (int64_t)status.st_ino == line->moved.nsec) return true;
  return errno = ENOENT, false;
}

// A directory or a secret that the step moved or linked elsewhere would be in the layer.
static bool is_alone(int parent, const char *name, const struct line *line) {
  struct stat status;
  if (parent < 0) return false;
  if (fstatat(parent, name, &status, AT_SYMLINK_NOFOLLOW) < 0) return false;
  if ((int64_t)status.st_ino != line->moved.nsec || (int64_t)status.st_dev != line->moved.sec) return errno = ENOENT, false;
  return S_ISDIR(status.st_mode) || status.st_nlink == 1 || (errno = EMLINK, false);
}

static bool undo_line(int root, int directory, const struct line *line) {
  const char *name;
  int parent = open_parent_of(root, line->path, &name);
  bool done = true;
  switch (line->moved.kind) {
  case MOVED_ASIDE:
    // Without it the move was never made, or undone before.
    if (!exists(directory, line->other)) break;
    done = parent >= 0 && remove_tree_at(parent, name, NULL) == 0 && renameat(directory, line->other, parent, name) == 0;
    break;
  case MOVED_MADE: done = parent < 0 || remove_tree_at(parent, name, NULL) == 0; break;
  case MOVED_PARENT:
    if (parent >= 0) unlinkat(parent, name, AT_REMOVEDIR);
    break;
  case MOVED_IN: done = move_back(parent, name, line, directory); break;
  case MOVED_STAYS: done = is_alone(parent, name, line); break;
  default: break;
  }
  int error = errno;
  if (parent >= 0) close(parent);
  errno = error;
  return done;
}

struct time_back {
  const char *path;
  struct timespec time;
};

static bool same(const struct timespec *time, const struct moved *moved) { return time->tv_sec == moved->sec && time->tv_nsec == moved->nsec; }

// What each directory's time has to be in the end: the one before it all if the step left it alone, else as it is now.
static size_t times_back(int root, const struct lines *lines, struct time_back *times) {
  size_t count = 0;
  for (size_t i = 0; i < lines->count; i++) {
    const struct line *before = &lines->items[i], *settled = NULL;
    struct stat status;
    if (before->moved.kind != MOVED_TIME) continue;
    bool known = false;
    for (size_t j = 0; j < count && !known; j++) known = !strcmp(times[j].path, before->path);
    if (known || fstatat(root, before->path, &status, AT_SYMLINK_NOFOLLOW) < 0) continue;
    for (size_t j = 0; j < lines->count && !settled; j++)
      if (lines->items[j].moved.kind == MOVED_SETTLED && !strcmp(lines->items[j].path, before->path)) settled = &lines->items[j];
    bool untouched = !settled || same(&status.st_mtim, &settled->moved);
    times[count++] = (struct time_back){before->path, untouched ? (struct timespec){before->moved.sec, before->moved.nsec} : status.st_mtim};
  }
  return count;
}

static void set_time(int root, const struct time_back *time) {
  struct timespec moments[2] = {{.tv_nsec = UTIME_OMIT}, time->time};
  int fd = k_openat2(root, time->path, O_RDONLY | O_DIRECTORY, K_RESOLVE_BENEATH | K_RESOLVE_NO_SYMLINKS);
  if (fd < 0) return;
  futimens(fd, moments);
  close(fd);
}

bool undo_moved_tree(int directory, char what[PATH_MAX]) {
  struct lines lines = read_journal(directory);
  bool done = true;
  int error = 0;
  int root = lines.count > 0 && lines.items[0].moved.kind == MOVED_ROOT ? open(lines.items[0].path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) : -1;
  struct time_back *times = calloc(lines.count + 1, sizeof *times);
  size_t timed = root < 0 || !times ? 0 : times_back(root, &lines, times);
  for (size_t i = root < 0 ? 0 : lines.count; i-- > 1;) {
    if (undo_line(root, directory, &lines.items[i])) continue;
    if (done) error = errno, snprintf(what, PATH_MAX, "%s", lines.items[i].path);
    done = false;
  }
  for (size_t i = 0; i < timed; i++) set_time(root, &times[i]);
  if (done) unlinkat(directory, JOURNAL_NAME, 0);
  if (root >= 0) close(root);
  free(times);
  free_lines(&lines);
  errno = error;
  return done;
}

void undo_moved_trees(const char *state) {
  DIR *entries = opendir(state);
  struct dirent *entry;
  char what[PATH_MAX];
  while (entries && (entry = readdir(entries))) {
    if (strncmp(entry->d_name, MOVED_PREFIX, strlen(MOVED_PREFIX))) continue;
    int directory = openat(dirfd(entries), entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    // Its last processes may be ending this moment.
    if (directory >= 0 && flock(directory, LOCK_EX) == 0) undo_moved_tree(directory, what);
    if (directory >= 0) close(directory);
  }
  if (entries) closedir(entries);
}
