// Mount points in a plain directory that is a step's root: made before it, taken away after it.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../common/kernel.h"
#include "failure.h"
#include "resolve.h"
#include "stubs.h"

// What was made: one name, and what tells whether the step touched it. The path follows.
struct note {
  uint64_t inode;
  struct timespec changed;
  uint32_t file, length;
};

void plain_stub_notes(const char *state, uint32_t id, char path[PATH_MAX + 32]) { snprintf(path, PATH_MAX + 32, "%s/made-%u", state, id); }

static int open_parent(int root, const char *path, const char **name) {
  char parent[PATH_MAX] = ".";
  const char *slash = strrchr(path, '/');
  *name = slash ? slash + 1 : path;
  if (slash) snprintf(parent, sizeof parent, "%.*s", (int)(slash - path), path);
  return k_openat2(root, parent, O_PATH | O_DIRECTORY, K_RESOLVE_BENEATH | K_RESOLVE_NO_SYMLINKS);
}

// The directory above shows nothing of what we do in it.
static bool times_of(int directory, struct timespec times[2]) {
  struct stat status;
  if (fstat(directory, &status) < 0) return false;
  times[0] = (struct timespec){.tv_nsec = UTIME_OMIT};
  times[1] = status.st_mtim;
  return true;
}

static void write_note(FILE *notes, int root, const char *path) {
  struct stat status;
  if (fstatat(root, path, &status, AT_SYMLINK_NOFOLLOW) < 0) step_fail(errno, "make the mount point /%s", path);
  struct note note = {status.st_ino, status.st_ctim, !S_ISDIR(status.st_mode), (uint32_t)strlen(path)};
  if (fwrite(&note, sizeof note, 1, notes) != 1 || fwrite(path, 1, note.length, notes) != note.length) step_fail(errno, "note the mount point /%s", path);
}

static void make_stub(int root, const struct target *target, const struct resolved *resolved) {
  struct timespec times[2];
  bool timed = times_of(resolved->fd, times);
  int fd = create_missing(resolved, &(struct new_place){.file = target->file, .mode = target->mode});
  if (fd < 0) step_fail(errno, "make the mount point %s", target->path);
  close(fd);
  char above[PATH_MAX] = ".";
  if (resolved->existing) snprintf(above, sizeof above, "%.*s", (int)resolved->existing, resolved->path);
  if (timed) utimensat(root, above, times, AT_SYMLINK_NOFOLLOW);
}

static bool lies_below(const char *path, const char *parent) {
  size_t length = strlen(parent);
  return !strncmp(path, parent, length) && (length == 0 || path[length] == '/' || path[length] == 0);
}

static bool lies_in_another(const char *path, char *const *places, size_t count) {
  for (size_t i = 0; i < count; i++)
    if (lies_below(path, places[i])) return true;
  return false;
}

// Every part of the path that was missing, the uppermost first.
static void note_parts(FILE *notes, int root, const char *path, size_t existing) {
  char part[PATH_MAX];
  for (size_t end = existing + 1; end <= strlen(path); end++) {
    if (path[end] && path[end] != '/') continue;
    snprintf(part, sizeof part, "%.*s", (int)end, path);
    write_note(notes, root, part);
  }
}

void make_plain_stubs(int root, const char *notes_path, const struct target *targets, size_t count) {
  char **places = calloc(count, sizeof *places);
  size_t *existing = calloc(count, sizeof *existing);
  if (!places || !existing) step_fail(ENOMEM, "memory");
  size_t known = 0, made = 0;
  for (size_t i = 0; i < count; i++) {
    struct resolved resolved;
    if (resolve_in_root(root, targets[i].path, &resolved) < 0) step_fail(errno, "mount target %s", targets[i].path);
    if (targets[i].no_links && strcmp(resolved.path, targets[i].path + 1)) step_fail(ELOOP, "mount target %s: a link in the image", targets[i].path);
    // Below an earlier target it is made in what is mounted there.
    if (!lies_in_another(resolved.path, places, known)) {
      if (!(places[known] = strdup(resolved.path))) step_fail(ENOMEM, "memory");
      existing[known++] = resolved.missing ? resolved.existing : SIZE_MAX;
      if (resolved.missing) make_stub(root, &targets[i], &resolved), made++;
    }
    close(resolved.fd);
  }
  // Noted when all are there: making one changes the directory of another.
  FILE *notes = made ? fopen(notes_path, "we") : NULL;
  if (made && !notes) step_fail(errno, "note the mount points");
  for (size_t i = 0; i < known; i++) {
    if (existing[i] != SIZE_MAX) note_parts(notes, root, places[i], existing[i]);
    free(places[i]);
  }
  if (notes && fclose(notes) != 0) step_fail(errno, "note the mount points");
  free(places);
  free(existing);
}

struct made {
  char *path;
  bool file, untouched;
};

static bool is_untouched(int root, const char *path, const struct note *note) {
  const char *name;
  struct stat status;
  int parent = open_parent(root, path, &name);
  bool same = parent >= 0 && fstatat(parent, name, &status, AT_SYMLINK_NOFOLLOW) == 0 && status.st_ino == note->inode &&
              status.st_ctim.tv_sec == note->changed.tv_sec && status.st_ctim.tv_nsec == note->changed.tv_nsec;
  if (parent >= 0) close(parent);
  return same;
}

// By the descriptor of its directory, which no link leads to; rmdir takes nothing that holds something.
static void remove_stub(int root, const struct made *made) {
  const char *name;
  struct timespec times[2];
  int parent = open_parent(root, made->path, &name);
  if (parent < 0) return;
  bool timed = times_of(parent, times);
  if (unlinkat(parent, name, made->file ? 0 : AT_REMOVEDIR) == 0 && timed) utimensat(parent, "", times, AT_EMPTY_PATH);
  close(parent);
}

static size_t read_notes(FILE *notes, int root, struct made **list) {
  struct note note;
  size_t count = 0;
  while (fread(&note, sizeof note, 1, notes) == 1 && note.length < PATH_MAX) {
    char *path = calloc(1, note.length + 1);
    struct made *grown = realloc(*list, (count + 1) * sizeof **list);
    if (!path || !grown) _exit(70);
    *list = grown;
    if (fread(path, 1, note.length, notes) != note.length) {
      free(path);
      break;
    }
    (*list)[count++] = (struct made){path, note.file, is_untouched(root, path, &note)};
  }
  return count;
}

void remove_plain_stubs(const char *directory, const char *notes_path) {
  FILE *notes = fopen(notes_path, "re");
  if (!notes) return; // none was missing
  int root = open(directory, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  struct made *made = NULL;
  size_t count = root < 0 ? 0 : read_notes(notes, root, &made);
  fclose(notes);
  unlink(notes_path);
  while (count-- > 0) {
    if (made[count].untouched) remove_stub(root, &made[count]);
    free(made[count].path);
  }
  free(made);
  if (root >= 0) close(root);
}
