// The command of a step, once its root is there: working directory, limits, environment, exec. Whatever isolates the step.
#define _GNU_SOURCE
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../common/kernel.h"
#include "failure.h"
#include "home.h"
#include "resolve.h"

// `/a/../b` needs `/a`: what stands before a `..` is made too, for root, as runc has it.
static void make_left_directories(int root, const char *cwd) {
  for (const char *at = strstr(cwd, "/.."); at; at = strstr(at + 3, "/..")) {
    if (at[3] && at[3] != '/') continue;
    char left[PATH_MAX];
    size_t length = (size_t)(at - cwd);
    if (length >= sizeof left) step_fail(ENAMETOOLONG, "working directory %s", cwd);
    memcpy(left, cwd, length);
    left[length] = 0;
    struct resolved resolved;
    if (resolve_in_root(root, left, &resolved) < 0) step_fail(errno, "working directory %s", cwd);
    int made = resolved.missing ? create_missing(&resolved, &(struct new_place){0}) : -1;
    if (resolved.missing && made < 0) step_fail(errno, "make the working directory %s", cwd);
    if (made >= 0) close(made);
    close(resolved.fd);
  }
}

// A link that leads nowhere is followed inside the root.
int open_working_directory(int root, const struct step_spec *step) {
  make_left_directories(root, step->cwd);
  struct resolved resolved;
  if (resolve_in_root(root, step->cwd, &resolved) < 0)
    step_fail(errno, resolved.magic ? "working directory %s leads through a magic link of /proc" : "working directory %s", step->cwd);
  int fd = resolved.missing ? create_missing(&resolved, &(struct new_place){.uid = step->uid, .gid = step->gid}) : resolved.fd;
  struct stat status;
  if (fd < 0 || fstat(fd, &status) < 0) step_fail(errno, "make the working directory %s", step->cwd);
  if (!S_ISDIR(status.st_mode)) step_fail(ENOTDIR, "working directory %s", step->cwd);
  return fd;
}

void enter_working_directory(int directory, const char *name) {
  char path[PATH_MAX];
  if (fchdir(directory) < 0) step_fail(errno, "enter the working directory %s", name);
  // A directory outside the root would show here as "(unreachable)".
  if (syscall(SYS_getcwd, path, sizeof path) < 0 || path[0] != '/') step_fail(EXDEV, "enter the working directory %s", name);
}

void set_limits(const struct step_spec *step) {
  for (size_t i = 0; i < step->rlimit_count; i++) {
    const struct rlimit_spec *limit = &step->rlimits[i];
    struct rlimit value = {.rlim_cur = limit->soft, .rlim_max = limit->hard};
    if (setrlimit((int)limit->resource, &value) < 0) step_fail(errno, "set the resource limit %u", limit->resource);
  }
}

static void reset_signals(void) {
  sigset_t none;
  sigemptyset(&none);
  for (int number = 1; number < NSIG; number++) signal(number, SIG_DFL);
  sigprocmask(SIG_SETMASK, &none, NULL);
}

static const char *environment(const struct strings *env, const char *name) {
  size_t length = strlen(name);
  for (size_t i = 0; i < env->count; i++)
    if (!strncmp(env->items[i], name, length) && env->items[i][length] == '=') return env->items[i] + length + 1;
  return NULL;
}

static void set_home(struct strings *env, uid_t uid) {
  for (size_t i = 0; i < env->count; i++) {
    if (strcmp(env->items[i], "HOME=")) continue;
    env->items[i] = home_of(uid);
    return;
  }
  add_string(env, home_of(uid));
}

struct strings with_home(const struct step_spec *step) {
  struct strings env = step->env;
  // An empty one counts as none, as runc has it.
  const char *home = environment(&env, "HOME");
  if (!home || !*home) set_home(&env, step->uid);
  return env;
}

// The command's file: as it is when it has a slash, else the first that can be executed along PATH.
static void execute(const struct step_spec *step) {
  const char *name = step->args.items[0];
  char *const *args = (char *const *)step->args.items, *const *env = (char *const *)step->env.items;
  if (strchr(name, '/')) {
    execve(name, args, env);
    step_fail(errno, "exec %s", name);
  }
  const char *path = environment(&step->env, "PATH");
  if (!path) path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
  int error = ENOENT;
  for (const char *from = path; *name; from++) {
    char file[PATH_MAX];
    size_t length = strcspn(from, ":");
    if (length + strlen(name) + 2 < sizeof file) {
      snprintf(file, sizeof file, "%.*s%s%s", (int)length, from, length ? "/" : "", name);
      execve(file, args, env);
      // As a shell: a file that may not be executed is told only when no other is found.
      if (errno != ENOENT && errno != ENOTDIR && errno != EACCES) step_fail(errno, "exec %s", file);
      struct stat status;
      if (errno == EACCES && stat(file, &status) == 0 && S_ISREG(status.st_mode)) error = EACCES;
    }
    from += length;
    if (!*from) break;
  }
  step_fail(error, "exec %s", name);
}

// The command takes the place of this process: in a namespace of its own it is process 1, as in Docker.
void run_process(const struct step_spec *step) {
  blame_failures_on(STATUS_PROCESS_FAILED);
  setsid();
  if (step->flags & STEP_TERMINAL && ioctl(0, TIOCSCTTY, 0) < 0) step_fail(errno, "take the terminal");
  reset_signals();
  k_close_range(3, ~0u, K_CLOSE_RANGE_CLOEXEC);
  execute(step);
  _exit(127);
}
