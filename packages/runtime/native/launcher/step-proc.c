#define _GNU_SOURCE
#include "step-proc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../common/kernel.h"
#include "proc-places.h"
#include "step-members.h"

// As many processes and threads as a step may have: a container mostly has no limit of its own.
#define TASK_LIMIT 8192u
#define STRICTLY (K_RESOLVE_BENEATH | K_RESOLVE_NO_SYMLINKS)

// A path of the step's /proc: `base` and, below it, `rest`.
struct place {
  char shown[PATH_MAX]; // as the step names it, below /proc; its own number for `self`
  int base;             // the process's directory, or /proc
  const char *rest;
};

// --- who looks

// Permission to look into a process goes by real ids, to open its files by those of the file system.
static bool looks_as_other;

static void look_as(uid_t uid, gid_t gid) {
  looks_as_other = true;
  syscall(SYS_setresgid, gid, -1, -1);
  syscall(SYS_setresuid, uid, -1, -1);
  syscall(SYS_setfsgid, gid);
  syscall(SYS_setfsuid, uid);
}

static void look_as_root(void) {
  if (!looks_as_other) return;
  looks_as_other = false;
  syscall(SYS_setfsuid, 0);
  syscall(SYS_setresuid, 0, -1, -1);
  syscall(SYS_setresgid, 0, -1, -1);
}

// Of a process that cannot be looked into (between setuid and exec) this says root.
static bool look_as_caller(const struct step_proc *state, const struct asked *asked) {
  char name[16];
  struct stat status;
  snprintf(name, sizeof name, "%d", (int)asked->call->pid);
  if (fstatat(state->proc, name, &status, 0) < 0 || (status.st_uid == 0 && status.st_gid == 0)) return false;
  look_as(status.st_uid, status.st_gid);
  return true;
}

// --- which path

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
  if (!strncmp(path, "/dev/fd/", 8)) return snprintf(buffer, PATH_MAX, "self/fd/%s", path + 8), buffer;
  // Links of ours: what they say is read from themselves.
  if (!follows) return NULL;
  if (!strcmp(path, "/dev/fd")) return "self/fd";
  if (!strcmp(path, "/etc/mtab")) return "mounts";
  for (int i = 0; i < 3; i++)
    if (!strcmp(path, streams[i])) return snprintf(buffer, PATH_MAX, "self/fd/%d", i), buffer;
  return NULL;
}

static bool may_be_ours(const char *start, ssize_t length) {
  static const char *const beginnings[] = {"/proc", "/dev/fd", "/dev/std", "/etc/mtab", "//", "/./"};
  for (size_t i = 0; i < sizeof beginnings / sizeof *beginnings; i++) {
    size_t size = strlen(beginnings[i]);
    if (length >= (ssize_t)size && !memcmp(start, beginnings[i], size)) return true;
  }
  return false;
}

// Reads the path of a call; false when the call is none of ours. Ids are the caller's afterwards where they must be.
static bool take_path(const struct step_proc *state, const struct asked *asked, uint64_t address, bool follows, char below[PATH_MAX]) {
  char start[12], path[PATH_MAX], tidied[PATH_MAX], buffer[PATH_MAX];
  ssize_t length = read_memory(asked, address, start, sizeof start);
  if (length < 0 && errno == EPERM && look_as_caller(state, asked)) length = read_memory(asked, address, start, sizeof start);
  if (!may_be_ours(start, length) || !read_path(asked, address, path) || !tidy(path, tidied)) return false;
  const char *found = below_proc(tidied, follows, buffer);
  if (!found) return false;
  snprintf(below, PATH_MAX, "%s", found);
  return true;
}

static const char *behind(const char *path, const char *first) {
  size_t length = strlen(first);
  return !strncmp(path, first, length) && (!path[length] || path[length] == '/') ? path + length : NULL;
}

// Finds the process that a path names. 0, or an errno.
static int find_place(const struct step_proc *state, const struct asked *asked, const char *below, struct place *place) {
  pid_t caller = (pid_t)asked->call->pid, pid = 0;
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
  bool known = place->base >= 0 && (pid == caller ? still_asks(asked) : is_below(state->proc, pid, state->sentinel));
  if (!known) {
    if (place->base >= 0) close(place->base);
    return ENOENT;
  }
  place->rest = strchr(place->shown, '/') ? strchr(place->shown, '/') + 1 : "";
  return 0;
}

static void leave_place(const struct step_proc *state, const struct place *place) {
  if (place->base != state->proc) close(place->base);
}

// --- answers

// `fd/5` and `task/7/fd/5` are what the process has open itself; `exe` is what it runs.
static bool leads_to_own_file(const char *rest) {
  const char *name = strrchr(rest, '/') ? strrchr(rest, '/') + 1 : rest;
  size_t before = (size_t)(name - rest);
  if (!strcmp(rest, "exe")) return true;
  return before >= 3 && !strncmp(rest + before - 3, "fd/", 3) && (before == 3 || rest[before - 4] == '/') && name[strspn(name, "0123456789")] == 0;
}

static int open_file(const struct place *place, int flags, bool link) {
  // Opening must not wait: it is this process that opens. A pipe waits for its other side, a terminal for a carrier.
  int wanted = (flags & (O_ACCMODE | O_APPEND | O_TRUNC | O_DIRECTORY | O_PATH)) | O_NONBLOCK | O_NOCTTY;
  int fd = link ? openat(place->base, place->rest, wanted | O_CLOEXEC) : k_openat2(place->base, place->rest, wanted & ~O_TRUNC, STRICTLY);
  struct stat status;
  struct statfs system;
  if (fd < 0 || fstat(fd, &status) < 0) return -1;
  if (S_ISDIR(status.st_mode) && (fstatfs(fd, &system) < 0 || system.f_type == K_PROC_MAGIC)) return close(fd), errno = EACCES, -1;
  if (!(flags & (O_NONBLOCK | O_PATH))) fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
  return fd;
}

// -1 with errno; ELOOP where the kernel may find what it finds in the step's root.
static int open_place(const struct step_proc *state, const struct place *place, int flags) {
  int at = k_openat2(place->base, *place->rest ? place->rest : ".", O_PATH | O_NOFOLLOW, STRICTLY);
  struct stat status;
  if (at < 0 || fstat(at, &status) < 0) return -1;
  int fd = -1;
  if (S_ISDIR(status.st_mode)) {
    look_as_root();
    int places = openat(state->root, "proc", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    fd = places < 0 ? -1 : mirror_directory(places, place->shown, at, state->sentinel);
    if (places >= 0) close(places);
  } else if (!S_ISLNK(status.st_mode)) fd = flags & O_DIRECTORY ? (errno = ENOTDIR, -1) : open_file(place, flags, false);
  else if (flags & O_NOFOLLOW || !leads_to_own_file(place->rest)) errno = ELOOP;
  else fd = open_file(place, flags, true);
  int error = errno;
  close(at);
  errno = error;
  return fd;
}

static void answer_open(const struct step_proc *state, const struct asked *asked, uint64_t path, int flags) {
  char below[PATH_MAX];
  struct place place;
  if (!take_path(state, asked, path, true, below)) return let_go_on(asked);
  int error = find_place(state, asked, below, &place);
  if (error) return answer_error(asked, error);
  int fd = open_place(state, &place, flags);
  error = errno;
  leave_place(state, &place);
  if (fd >= 0) return answer_descriptor(asked, fd, flags & O_CLOEXEC);
  if (error == ELOOP) return let_go_on(asked);
  answer_error(asked, error);
}

static ssize_t read_own_number(const struct step_proc *state, const struct asked *asked, const char *below, char text[64]) {
  char path[32], line[128];
  int group = 0;
  snprintf(path, sizeof path, "%d/status", (int)asked->call->pid);
  int fd = openat(state->proc, path, O_RDONLY | O_CLOEXEC);
  FILE *file = fd < 0 ? NULL : fdopen(fd, "r");
  while (file && fgets(line, sizeof line, file) && sscanf(line, "Tgid: %d", &group) != 1) continue;
  if (file) fclose(file);
  if (group == 0) return errno = ENOENT, -1;
  return !strcmp(below, "self") ? snprintf(text, 64, "%d", group) : snprintf(text, 64, "%d/task/%d", group, (int)asked->call->pid);
}

static void answer_readlink(const struct step_proc *state, const struct asked *asked, uint64_t path, uint64_t buffer, uint64_t size) {
  char below[PATH_MAX], text[PATH_MAX];
  struct place place;
  ssize_t length;
  if (!take_path(state, asked, path, false, below)) return let_go_on(asked);
  if (!strcmp(below, "self") || !strcmp(below, "thread-self")) length = read_own_number(state, asked, below, text);
  else if (!strcmp(below, "net") || !strcmp(below, "mounts")) length = snprintf(text, sizeof text, "self/%s", below);
  else {
    int error = find_place(state, asked, below, &place);
    if (error) return answer_error(asked, error);
    int at = k_openat2(place.base, *place.rest ? place.rest : ".", O_PATH | O_NOFOLLOW, STRICTLY);
    // By name and not by descriptor: then the kernel asks whether the caller may.
    length = at < 0 ? -1 : readlinkat(place.base, place.rest, text, sizeof text);
    error = errno;
    if (at >= 0) close(at);
    leave_place(state, &place);
    errno = error;
  }
  if (length < 0) return errno == ELOOP ? let_go_on(asked) : answer_error(asked, errno);
  if ((uint64_t)length > size) length = (ssize_t)size;
  if (size == 0 || size > INT_MAX) return answer_error(asked, EINVAL);
  if (!write_memory(asked, buffer, text, (size_t)length)) return answer_error(asked, EFAULT);
  answer_value(asked, length);
}

static void answer_statfs(const struct step_proc *state, const struct asked *asked, uint64_t path, uint64_t buffer) {
  char below[PATH_MAX];
  struct statfs status;
  if (!take_path(state, asked, path, true, below) || fstatfs(state->proc, &status) < 0) return let_go_on(asked);
  if (!write_memory(asked, buffer, &status, sizeof status)) return answer_error(asked, EFAULT);
  answer_value(asked, 0);
}

static void answer_fork(struct step_proc *state, const struct asked *asked) {
  if (state->left == 0) {
    unsigned running = count_below(state->proc, state->sentinel);
    if (running >= TASK_LIMIT) return answer_error(asked, EAGAIN);
    state->left = TASK_LIMIT - running;
  }
  state->left--;
  let_go_on(asked);
}

// Numbers are in registers: nothing can exchange them.
static void answer_process(const struct step_proc *state, const struct asked *asked, int32_t pid) {
  pid_t one = pid < 0 ? -pid : pid;
  if (pid != -1 && (one == (pid_t)asked->call->pid || is_below(state->proc, one, state->sentinel))) let_go_on(asked);
  else answer_error(asked, EPERM);
}

static void answer_open_how(const struct step_proc *state, const struct asked *asked, const uint64_t *args) {
  struct kernel_open_how how = {0};
  // What says how paths are to be resolved, or what we do not know, the kernel answers.
  if (args[3] < sizeof how || read_memory(asked, args[2], &how, sizeof how) != (ssize_t)sizeof how || how.resolve) return let_go_on(asked);
  answer_open(state, asked, args[1], (int)how.flags);
}

void answer_call(struct step_proc *state, const struct asked *asked) {
  const uint64_t *args = (const uint64_t *)asked->call->data.args;
  switch (asked->call->data.nr) {
#if defined(__x86_64__)
  case SYS_open: answer_open(state, asked, args[0], (int)args[1]); break;
  case SYS_readlink: answer_readlink(state, asked, args[0], args[1], args[2]); break;
  case SYS_fork:
  case SYS_vfork:
#endif
  case SYS_clone: answer_fork(state, asked); break;
  case SYS_openat: answer_open(state, asked, args[1], (int)args[2]); break;
  case 437: answer_open_how(state, asked, args); break;
  case SYS_readlinkat: answer_readlink(state, asked, args[1], args[2], args[3]); break;
  case SYS_statfs: answer_statfs(state, asked, args[0], args[1]); break;
  case SYS_setpriority:
  case SYS_ioprio_set: answer_process(state, asked, (int32_t)args[1]); break;
  default: answer_process(state, asked, (int32_t)args[0]); break;
  }
  look_as_root();
}
