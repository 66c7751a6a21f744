#define _GNU_SOURCE
#include "step-proc.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/stat.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../common/kernel.h"
#include "../supervisor/supervisor.h"
#include "proc-place.h"
#include "proc-places.h"
#include "step-members.h"

// `fd/5` and `task/7/fd/5` are what the process has open itself; `exe` is what it runs.
static bool leads_to_own_file(const char *rest) {
  const char *name = strrchr(rest, '/') ? strrchr(rest, '/') + 1 : rest;
  size_t before = (size_t)(name - rest);
  if (!strcmp(rest, "exe")) return true;
  return before >= 3 && !strncmp(rest + before - 3, "fd/", 3) && (before == 3 || rest[before - 4] == '/') && name[strspn(name, "0123456789")] == 0;
}

// What containers are not shown of the machine, and nobody writes but below a process: here nothing is mounted over it.
static int refuse_machine(const struct step_proc *state, const struct place *place, int flags) {
  static const char *const masked[] = {"acpi", "asound", "interrupts", "kcore", "keys", "kmsg", "latency_stats", "sched_debug", "scsi", "timer_list", "timer_stats"};
  if (place->base != state->proc) return 0;
  for (size_t i = 0; i < sizeof masked / sizeof *masked; i++) {
    size_t length = strlen(masked[i]);
    if (!strncmp(place->rest, masked[i], length) && (!place->rest[length] || place->rest[length] == '/')) return EACCES;
  }
  return (flags & O_ACCMODE) != O_RDONLY && !(flags & O_PATH) ? EROFS : 0;
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
  if ((errno = refuse_machine(state, place, flags))) return -1;
  int at = k_openat2(place->base, *place->rest ? place->rest : ".", O_PATH | O_NOFOLLOW, STRICTLY);
  struct stat status;
  if (at < 0 || fstat(at, &status) < 0) return -1;
  int fd = -1;
  if (S_ISDIR(status.st_mode)) {
    // Read as the caller may, written as root.
    int shown = openat(at, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (shown < 0) {
      int error = errno;
      close(at);
      return errno = error, -1;
    }
    look_as_root();
    int places = openat(state->root, "proc", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    fd = places < 0 ? close(shown), -1 : mirror_directory(places, place->shown, shown, state->sentinel);
    if (places >= 0) close(places);
  } else if (!S_ISLNK(status.st_mode)) fd = flags & O_DIRECTORY ? (errno = ENOTDIR, -1) : open_file(place, flags, false);
  else if (flags & O_NOFOLLOW || !leads_to_own_file(place->rest)) errno = ELOOP;
  else fd = open_file(place, flags, true);
  int error = errno;
  close(at);
  errno = error;
  return fd;
}

// A process that somebody looks at is one that stat finds as well.
static void show_caller_of(const struct step_proc *state, const struct place *place) {
  if (place->base == state->proc) return;
  struct stat status;
  bool known = fstat(place->base, &status) == 0;
  look_as_root();
  if (known) show_process(state->root, atoi(place->shown), status.st_uid, status.st_gid);
}

static struct answer answer_open(const struct step_proc *state, struct call *call, uint64_t path, int flags) {
  hide_ended(state->root, state->proc);
  char below[PATH_MAX];
  struct place place;
  bool follows = true;
  if (!take_path(state, call, path, &follows, below)) return ask_kernel();
  int error = find_place(state, call, below, &place);
  if (error) return return_error(error);
  int fd = open_place(state, &place, flags);
  error = errno;
  if (fd >= 0) show_caller_of(state, &place);
  leave_place(state, &place);
  if (fd >= 0) return return_descriptor(fd, flags & O_CLOEXEC);
  return error == ELOOP ? ask_kernel() : return_error(error);
}

static ssize_t read_own_number(const struct step_proc *state, struct call *call, const char *below, char text[64]) {
  char path[32], line[128];
  int group = 0;
  snprintf(path, sizeof path, "%d/status", (int)call->request->pid);
  int fd = openat(state->proc, path, O_RDONLY | O_CLOEXEC);
  FILE *file = fd < 0 ? NULL : fdopen(fd, "r");
  while (file && fgets(line, sizeof line, file) && sscanf(line, "Tgid: %d", &group) != 1) continue;
  if (file) fclose(file);
  if (group == 0) return errno = ENOENT, -1;
  return !strcmp(below, "self") ? snprintf(text, 64, "%d", group) : snprintf(text, 64, "%d/task/%d", group, (int)call->request->pid);
}

static struct answer answer_readlink(const struct step_proc *state, struct call *call, uint64_t path, uint64_t buffer, uint64_t size) {
  char below[PATH_MAX], text[PATH_MAX];
  struct place place;
  ssize_t length;
  bool follows = false;
  if (!take_path(state, call, path, &follows, below) || follows) return ask_kernel();
  if (!strcmp(below, "self") || !strcmp(below, "thread-self")) length = read_own_number(state, call, below, text);
  else if (!strcmp(below, "net") || !strcmp(below, "mounts")) length = snprintf(text, sizeof text, "self/%s", below);
  else {
    int error = find_place(state, call, below, &place);
    if (error) return return_error(error);
    int at = k_openat2(place.base, *place.rest ? place.rest : ".", O_PATH | O_NOFOLLOW, STRICTLY);
    // By name and not by descriptor: then the kernel asks whether the caller may.
    length = at < 0 ? -1 : readlinkat(place.base, place.rest, text, sizeof text);
    error = errno;
    if (at >= 0) close(at);
    leave_place(state, &place);
    errno = error;
  }
  if (length < 0) return errno == ELOOP ? ask_kernel() : return_error(errno);
  if ((uint64_t)length > size) length = (ssize_t)size;
  if (size == 0 || size > INT_MAX) return return_error(EINVAL);
  if (write_memory(call, buffer, text, (size_t)length) < 0) return return_error(EFAULT);
  return return_value(length);
}

// What is asked of a name, once it is known where it is looked up: 0, or an errno.
typedef int look(const struct place *place, bool follows, void *wanted);

// Only tells something of what lies there; a magic link is followed without harm.
static int look_at(const struct step_proc *state, struct call *call, uint64_t path, bool follows, look *look, void *wanted) {
  char below[PATH_MAX];
  struct place place;
  if (!take_path(state, call, path, &follows, below)) return -1;
  if (!follows && is_link_itself(below)) {
    place = (struct place){.base = state->proc};
    place.rest = strcpy(place.shown, below);
    return look(&place, false, wanted);
  }
  int error = find_place(state, call, below, &place);
  if (error) return error;
  int at = k_openat2(place.base, *place.rest ? place.rest : ".", O_PATH | O_NOFOLLOW, STRICTLY);
  // What lies behind a magic link is looked up in the step's root, where it is not.
  error = at < 0 ? errno == ELOOP ? -1 : errno : look(&place, follows, wanted);
  if (at >= 0) close(at);
  leave_place(state, &place);
  return error;
}

struct wanted_statx {
  unsigned mask;
  struct statx status;
};

static int look_statx(const struct place *place, bool follows, void *wanted) {
  struct wanted_statx *one = wanted;
  return syscall(SYS_statx, place->base, *place->rest ? place->rest : ".", follows ? 0 : AT_SYMLINK_NOFOLLOW, one->mask, &one->status) < 0 ? errno : 0;
}

// Nothing of /proc has any; a name that is not there is told as such.
static int look_attributes(const struct place *place, bool follows, void *none) { return EOPNOTSUPP; }

static struct answer give_looked(struct call *call, int error, uint64_t buffer, const void *found, size_t size) {
  if (error < 0) return ask_kernel();
  if (error > 0) return return_error(error);
  return size > 0 && write_memory(call, buffer, found, size) < 0 ? return_error(EFAULT) : return_value(0);
}

static struct answer answer_statfs(const struct step_proc *state, struct call *call, uint64_t path, uint64_t buffer) {
  char below[PATH_MAX];
  struct statfs status;
  bool follows = true;
  if (!take_path(state, call, path, &follows, below) || fstatfs(state->proc, &status) < 0) return ask_kernel();
  if (write_memory(call, buffer, &status, sizeof status) < 0) return return_error(EFAULT);
  return return_value(0);
}

// Numbers are in registers: nothing can exchange them.
static struct answer answer_process(const struct step_proc *state, struct call *call, int32_t pid) {
  pid_t one = pid < 0 ? -pid : pid;
  return pid != -1 && (one == (pid_t)call->request->pid || is_below(state->proc, one, state->sentinel)) ? ask_kernel() : return_error(EPERM);
}

// Each call by where its arguments stand. Ids are given back whatever was answered.
static struct answer as_root(struct answer answer) {
  look_as_root();
  return answer;
}

static struct answer on_openat(struct call *call) { return as_root(answer_open(call->context, call, argument(call, 1), int_argument(call, 2))); }

static struct answer on_openat2(struct call *call) {
  struct kernel_open_how how = {0};
  // What says how paths are to be resolved, or what we do not know, the kernel answers.
  if (argument(call, 3) < sizeof how || read_memory(call, argument(call, 2), &how, sizeof how) < 0 || how.resolve) return ask_kernel();
  return as_root(answer_open(call->context, call, argument(call, 1), (int)how.flags));
}

static struct answer on_readlinkat(struct call *call) {
  return as_root(answer_readlink(call->context, call, argument(call, 1), argument(call, 2), argument(call, 3)));
}

static struct answer on_statx(struct call *call) {
  struct wanted_statx wanted = {.mask = (unsigned)argument(call, 3)};
  int error = look_at(call->context, call, argument(call, 1), !(int_argument(call, 2) & AT_SYMLINK_NOFOLLOW), look_statx, &wanted);
  return as_root(give_looked(call, error, argument(call, 4), &wanted.status, sizeof wanted.status));
}

static struct answer on_statfs(struct call *call) { return as_root(answer_statfs(call->context, call, argument(call, 0), argument(call, 1))); }
static struct answer on_xattr(struct call *call) { return as_root(give_looked(call, look_at(call->context, call, argument(call, 0), true, look_attributes, NULL), 0, NULL, 0)); }
static struct answer on_lxattr(struct call *call) { return as_root(give_looked(call, look_at(call->context, call, argument(call, 0), false, look_attributes, NULL), 0, NULL, 0)); }
static struct answer on_process(struct call *call) { return answer_process(call->context, call, int_argument(call, 0)); }
static struct answer on_target(struct call *call) { return answer_process(call->context, call, int_argument(call, 1)); }

// Mode and owner by /proc/self/fd/N, as programs do with descriptors that were opened for their path alone (systemd). What the
// process has open it could reach itself; it is changed with its own ids.
struct wanted_owner {
  mode_t mode;
  uid_t uid;
  gid_t gid;
};

static int change_mode(const struct place *place, bool follows, void *wanted) {
  if (!leads_to_own_file(place->rest)) return EPERM;
  return fchmodat(place->base, place->rest, ((struct wanted_owner *)wanted)->mode, 0) < 0 ? errno : 0;
}

static int change_owner(const struct place *place, bool follows, void *wanted) {
  struct wanted_owner *owner = wanted;
  if (!leads_to_own_file(place->rest)) return EPERM;
  return fchownat(place->base, place->rest, owner->uid, owner->gid, 0) < 0 ? errno : 0;
}

static struct answer answer_change(struct call *call, int path, look *change, struct wanted_owner wanted) {
  return as_root(give_looked(call, look_at(call->context, call, argument(call, path), true, change, &wanted), 0, NULL, 0));
}

static struct answer on_fchmodat(struct call *call) { return answer_change(call, 1, change_mode, (struct wanted_owner){.mode = (mode_t)argument(call, 2) & 07777}); }

static struct answer on_fchownat(struct call *call) {
  if (int_argument(call, 4)) return ask_kernel();
  return answer_change(call, 1, change_owner, (struct wanted_owner){.uid = (uid_t)argument(call, 2), .gid = (gid_t)argument(call, 3)});
}

#if defined(__x86_64__)
static struct answer on_chmod(struct call *call) { return answer_change(call, 0, change_mode, (struct wanted_owner){.mode = (mode_t)argument(call, 1) & 07777}); }
static struct answer on_chown(struct call *call) {
  return answer_change(call, 0, change_owner, (struct wanted_owner){.uid = (uid_t)argument(call, 1), .gid = (gid_t)argument(call, 2)});
}
#endif

#if defined(__x86_64__)
static struct answer on_open(struct call *call) { return as_root(answer_open(call->context, call, argument(call, 0), int_argument(call, 1))); }
static struct answer on_readlink(struct call *call) {
  return as_root(answer_readlink(call->context, call, argument(call, 0), argument(call, 1), argument(call, 2)));
}
#endif

enum { NR_openat2_call = 437, NR_pidfd_open_call = 434 };

// A path is taken from the working directory or from the root: below a descriptor nothing of /proc lies.
#define FROM_HERE TRAP_EQUAL, 0, (uint32_t)AT_FDCWD
// The number of another, not 0 for oneself.
#define OF_ANOTHER(argument) TRAP_ANY_BIT, argument, ~0u

// Few calls: a signal that comes before the supervisor has taken a call makes it fail by EINTR, if the program's handler does not
// restart calls (dash). stat and access never fail so elsewhere, and programs do not expect it: they find the real places.
size_t proc_traps(bool signals, struct trap *traps) {
  static const struct trap files[] = {
      {SYS_openat, on_openat, FROM_HERE}, {NR_openat2_call, on_openat2, FROM_HERE}, {SYS_readlinkat, on_readlinkat, FROM_HERE}, {SYS_statfs, on_statfs}, {SYS_fchmodat, on_fchmodat, FROM_HERE}, {SYS_fchownat, on_fchownat, FROM_HERE}, {SYS_rt_sigaction, restart_after_children, TRAP_EQUAL, 0, SIGCHLD},
      {SYS_statx, on_statx, FROM_HERE},
#if defined(__x86_64__)
      {SYS_open, on_open}, {SYS_readlink, on_readlink}, {SYS_chmod, on_chmod}, {SYS_chown, on_chown},
#endif
      {SYS_getxattr, on_xattr}, {SYS_listxattr, on_xattr}, {SYS_lgetxattr, on_lxattr}, {SYS_llistxattr, on_lxattr},
      {SYS_prlimit64, on_process, OF_ANOTHER(0)}, {SYS_sched_setaffinity, on_process, OF_ANOTHER(0)}, {SYS_sched_setscheduler, on_process, OF_ANOTHER(0)},
      {SYS_sched_setparam, on_process, OF_ANOTHER(0)}, {SYS_sched_setattr, on_process, OF_ANOTHER(0)},
      {SYS_setpriority, on_target, OF_ANOTHER(1)}, {SYS_ioprio_set, on_target, OF_ANOTHER(1)},
  };
  static const struct trap signaling[] = {
      {SYS_kill, on_process, OF_ANOTHER(0)}, {SYS_tkill, on_process, OF_ANOTHER(0)}, {SYS_tgkill, on_process, OF_ANOTHER(0)},
      {SYS_rt_sigqueueinfo, on_process, OF_ANOTHER(0)}, {SYS_rt_tgsigqueueinfo, on_process, OF_ANOTHER(0)}, {NR_pidfd_open_call, on_process, OF_ANOTHER(0)},
  };
  memcpy(traps, files, sizeof files);
  if (signals) memcpy(traps + sizeof files / sizeof *files, signaling, sizeof signaling);
  return (sizeof files + (signals ? sizeof signaling : 0)) / sizeof *traps;
}
