#define _GNU_SOURCE
#include "proc-place.h"

#include <fcntl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../supervisor/supervisor.h"
#include "step-members.h"

// Permission to look into a process goes by real ids, to open its files by those of the file system.
static bool looks_as_other;

static void look_as(uid_t uid, gid_t gid) {
  looks_as_other = true;
  syscall(SYS_setresgid, gid, -1, -1);
  syscall(SYS_setresuid, uid, -1, -1);
  syscall(SYS_setfsgid, gid);
  syscall(SYS_setfsuid, uid);
}

void look_as_root(void) {
  if (!looks_as_other) return;
  looks_as_other = false;
  syscall(SYS_setfsuid, 0);
  syscall(SYS_setresuid, 0, -1, -1);
  syscall(SYS_setresgid, 0, -1, -1);
}

// Of a process that cannot be looked into (between setuid and exec) this says root.
static bool look_as_caller(const struct step_proc *state, struct call *call) {
  char name[16];
  struct stat status;
  snprintf(name, sizeof name, "%d", (int)call->request->pid);
  if (fstatat(state->proc, name, &status, 0) < 0 || (status.st_uid == 0 && status.st_gid == 0)) return false;
  look_as(status.st_uid, status.st_gid);
  return true;
}

// Without doubled slashes and single dots. What goes up is not ours to follow.
static bool tidy(const char *path, char *out) {
  size_t length = 0;
  for (const char *at = path; *at;) {
    at += strspn(at, "/");
    size_t part = strcspn(at, "/");
    if (part == 2 && !strncmp(at, "..", 2)) return false;
    if (part > 0 && !(part == 1 && *at == '.')) {
      out[length++] = '/';
      memcpy(out + length, at, part);
      length += part;
    }
    at += part;
  }
  out[length] = 0;
  return true;
}

// What a tidy path means below /proc, or NULL.
static const char *below_proc(const char *path, bool follows, char *buffer) {
  static const char *const streams[] = {"/dev/stdin", "/dev/stdout", "/dev/stderr"};
  if (!strcmp(path, "/proc")) return "";
  if (!strncmp(path, "/proc/", 6)) return path + 6;
  if (!strncmp(path, "/dev/fd/", 8)) {
    snprintf(buffer, PATH_MAX, "self/fd/%s", path + 8);
    return buffer;
  }
  // Links of ours: what they say is read from themselves.
  if (!follows) return NULL;
  if (!strcmp(path, "/dev/fd")) return "self/fd";
  if (!strcmp(path, "/etc/mtab")) return "mounts";
  for (int i = 0; i < 3; i++) {
    if (strcmp(path, streams[i])) continue;
    snprintf(buffer, PATH_MAX, "self/fd/%d", i);
    return buffer;
  }
  return NULL;
}

bool take_path(const struct step_proc *state, struct call *call, uint64_t address, bool *follows, char below[PATH_MAX]) {
  char path[PATH_MAX], tidied[PATH_MAX], buffer[PATH_MAX];
  int length = read_text(call, address, path, sizeof path);
  if (length == -EPERM && look_as_caller(state, call)) length = read_text(call, address, path, sizeof path);
  if (length < 0 || path[0] != '/' || !tidy(path, tidied)) return false;
  *follows |= length > 1 && path[length - 1] == '/';
  const char *found = below_proc(tidied, *follows, buffer);
  if (!found) return false;
  snprintf(below, PATH_MAX, "%s", found);
  return true;
}

static const char *behind(const char *path, const char *first) {
  size_t length = strlen(first);
  return !strncmp(path, first, length) && (!path[length] || path[length] == '/') ? path + length : NULL;
}

int find_place(const struct step_proc *state, struct call *call, const char *below, struct place *place) {
  pid_t caller = (pid_t)call->request->pid, pid = 0;
  const char *rest;
  int length;
  if ((rest = behind(below, "self"))) length = snprintf(place->shown, PATH_MAX, "%d%s", pid = caller, rest);
  else if ((rest = behind(below, "thread-self"))) length = snprintf(place->shown, PATH_MAX, "%d/task/%d%s", pid = caller, caller, rest);
  else if (behind(below, "net") || behind(below, "mounts")) length = snprintf(place->shown, PATH_MAX, "%d/%s", pid = caller, below);
  else {
    length = snprintf(place->shown, PATH_MAX, "%s", below);
    size_t digits = strspn(below, "0123456789");
    if (digits > 0 && digits < 10 && (!below[digits] || below[digits] == '/')) pid = atoi(below);
  }
  if (length >= PATH_MAX) return ENAMETOOLONG;
  place->base = state->proc;
  place->rest = place->shown;
  if (pid == 0) return 0;
  char name[16];
  snprintf(name, sizeof name, "%d", pid);
  // From here on that process is meant, whoever gets its number later.
  place->base = openat(state->proc, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
  bool known = place->base >= 0 && (pid == caller ? still_waits(call) : is_below(state->proc, pid, state->sentinel));
  if (!known) {
    if (place->base >= 0) close(place->base);
    return ENOENT;
  }
  place->rest = strchr(place->shown, '/') ? strchr(place->shown, '/') + 1 : "";
  return 0;
}

void leave_place(const struct step_proc *state, const struct place *place) {
  if (place->base != state->proc) close(place->base);
}

bool is_link_itself(const char *below) { return !strcmp(below, "self") || !strcmp(below, "thread-self") || !strcmp(below, "net") || !strcmp(below, "mounts"); }
