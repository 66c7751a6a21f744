// One step, from the clone to the exec. The order of the calls and the reason for it: ../README.md.
#define _GNU_SOURCE
#include "step.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/keyctl.h>
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../common/kernel.h"
#include "failure.h"
#include "identity.h"
#include "init.h"
#include "protocol.h"
#include "resolve.h"
#include "rootfs.h"

enum { STATUS_PIPE = 3 };

// An insecure step opens every device: it leaves the cgroup that filters them.
static void leave_device_cgroup(const struct executor_config *config) {
  if (config->outer_procs < 0 || write(config->outer_procs, "0", 1) == 1) return;
  step_fail(errno, "leave the cgroup that filters devices");
}

static void bring_loopback_up(void) {
  struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request) < 0) step_fail(errno, "bring up lo");
  close(fd);
}

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

// Made by the step's user where it is missing; a link that leads nowhere is followed inside the root.
static int open_working_directory(int root, const struct step_spec *step) {
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

static void enter_root(int root) {
  if (fchdir(root) < 0) step_fail(errno, "enter the root");
  if (k_pivot_root(".", ".") < 0) step_fail(errno, "pivot_root");
  if (umount2(".", MNT_DETACH) < 0) step_fail(errno, "detach the old root");
  if (chdir("/") < 0) step_fail(errno, "enter the root");
}

static void enter_working_directory(int directory, const char *name) {
  char path[PATH_MAX];
  if (fchdir(directory) < 0) step_fail(errno, "enter the working directory %s", name);
  // A directory outside the root would show here as "(unreachable)".
  if (syscall(SYS_getcwd, path, sizeof path) < 0 || path[0] != '/') step_fail(EXDEV, "enter the working directory %s", name);
}

static void set_limits(const struct step_spec *step) {
  for (size_t i = 0; i < step->rlimit_count; i++) {
    const struct rlimit_spec *limit = &step->rlimits[i];
    struct rlimit value = {.rlim_cur = limit->soft, .rlim_max = limit->hard};
    if (setrlimit((int)limit->resource, &value) < 0) step_fail(errno, "set the resource limit %u", limit->resource);
  }
}

// The executor's descriptors (its directories, a cgroup) are closed before a path that the step controls is looked up: as
// root of its namespace, a link to /proc/self/fd/N would give them to the step.
static void connect_output(const struct step_spec *step, struct step_descriptors fds) {
  // Else `echo > /dev/stdout` fails for a user who is not root.
  if (fchown(fds.out, step->uid, step->gid) < 0 || fchown(fds.err, step->uid, step->gid) < 0) step_fail(errno, "set the owner of the output");
  if (dup2(fds.out, 1) < 0 || dup2(fds.err, 2) < 0) step_fail(errno, "connect the streams");
  // The executor's control socket is descriptor 3, so the pipe has another number.
  if (dup3(fds.status, STATUS_PIPE, O_CLOEXEC) < 0) step_fail(errno, "connect the streams");
  report_failures_to(STATUS_PIPE);
  if (k_close_range(STATUS_PIPE + 1, ~0u, 0) < 0) step_fail(errno, "close the executor's descriptors");
}

static void connect_input(const struct executor_config *config) {
  if (dup2(config->input, 0) < 0) step_fail(errno, "connect the streams");
  if (k_close_range(STATUS_PIPE + 1, ~0u, 0) < 0) step_fail(errno, "close the step's directories");
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

_Noreturn static void run_process(const struct step_spec *step) {
  blame_failures_on(STATUS_PROCESS_FAILED);
  setsid();
  reset_signals();
  k_close_range(3, ~0u, K_CLOSE_RANGE_CLOEXEC);
  execute(step);
  _exit(127);
}

// Shown in /proc/1/cmdline of the step: it need not tell where the store lies.
static void hide_arguments(const struct executor_config *config) {
  memset(config->arguments_start, 0, (size_t)(config->arguments_end - config->arguments_start));
  strncpy(config->arguments_start, "init", (size_t)(config->arguments_end - config->arguments_start));
  prctl(PR_SET_NAME, "init");
}

void run_step(const struct executor_config *shared, const struct step_spec *step, uint32_t id, struct step_descriptors fds) {
  report_failures_to(fds.status);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  umask(0);
  struct executor_config *config = malloc(sizeof *config);
  if (!config) step_fail(ENOMEM, "memory");
  *config = *shared;
  bool insecure = step->flags & STEP_INSECURE;
  config->nodev = config->rootless || !(config->filters_devices || insecure) ? K_ATTR_NODEV : 0;
  if (insecure && config->filters_devices) leave_device_cgroup(config);
  connect_output(step, fds);
  if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) step_fail(errno, "make the mounts private");
  if (step->flags & STEP_NETWORK_NONE) bring_loopback_up();
  int root = build_rootfs(config, step, id);
  blame_failures_on(STATUS_PROCESS_FAILED);
  int directory = open_working_directory(root, step);
  blame_failures_on(STATUS_SETUP_FAILED);
  enter_root(root);
  if (sethostname(step->hostname, strlen(step->hostname)) < 0) step_fail(errno, "set the host name");
  hide_arguments(config);
  set_limits(step);
  umask(022);
  // The builder's session keyring stays outside.
  syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL);
  enter_working_directory(directory, step->cwd);
  connect_input(config);
  struct strings env = step->env;
  struct step_spec process = *step;
  // An empty one counts as none, as runc has it.
  const char *home = environment(&env, "HOME");
  if (!home || !*home) set_home(&env, step->uid);
  process.env = env;
  drop_privileges(config, step);
  pid_t child = fork();
  if (child < 0) step_fail(errno, "fork");
  if (child == 0) run_process(&process);
  // This process lives as long as the step: no secret stays in its memory.
  explicit_bzero(config->requests->bytes, config->requests->capacity);
  serve_as_init(child, STATUS_PIPE);
}
