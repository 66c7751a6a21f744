// The launcher's own work: state directory, clone3 into new namespaces, id maps, waiting.
#define _GNU_SOURCE
#include "namespaces.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../common/kernel.h"
#include "../common/remove-tree.h"
#include "devices.h"
#include "executor.h"
#include "limits.h"
#include "process-limit.h"
#include "protocol.h"
#include "seccomp.h"

enum { CONTROL = 3, JOBS = 4, TREES = 5 };
enum { GO = 'g', GO_FILTERED = 'f' };

static void fail(const char *operation, int error) {
  send_failure(CONTROL, operation, error);
  fprintf(stderr, "ts-oci-launcher: %s: %s\n", operation, strerror(error));
  _exit(1);
}

// Steps see these: what is made here is root's of their namespace, which under a shifted map is somebody else.
static bool give_to_steps(int directory, const char *name, const struct executor_config *config) {
  return !config->shifted || fchownat(directory, name, config->outer_uid, config->outer_gid, AT_SYMLINK_NOFOLLOW) == 0;
}

// What every overlay of this executor lies on: mount points that an image may lack, in a layer below all.
static bool fill_state(int directory, const struct executor_config *config) {
  static const char *const names[] = {"root", "stage", "empty", "empty2", "base", "base/proc", "base/sys", "base/dev", "base/etc"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (mkdirat(directory, names[i], 0755) < 0 || fchmodat(directory, names[i], 0755, 0) < 0 || !give_to_steps(directory, names[i], config)) return false;
  static const char *const files[] = {"base/etc/hosts", "base/etc/resolv.conf"};
  for (size_t i = 0; i < sizeof files / sizeof *files; i++)
    if (mknodat(directory, files[i], S_IFREG | 0644, 0) < 0 || !give_to_steps(directory, files[i], config)) return false;
  return true;
}

// A directory of this executor's own, locked for as long as it or its launcher lives.
static void make_state(const char *parent, struct executor_config *config) {
  char *state = config->state;
  for (int attempt = 0; attempt < 10; attempt++) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (snprintf(state, PATH_MAX, "%s/executor-%d-%lld%09ld", parent, getpid(), (long long)now.tv_sec, now.tv_nsec) >= PATH_MAX - 64)
      fail("make the state directory", ENAMETOOLONG);
    if (mkdir(state, 0700) < 0) fail("make the state directory", errno);
    int lock = open(state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (lock >= 0 && flock(lock, LOCK_EX | LOCK_NB) == 0 && fill_state(lock, config)) return;
    // Another executor swept it in the moment between mkdir and flock.
    if (errno != ENOENT && errno != EWOULDBLOCK) fail("make the state directory", errno);
    if (lock >= 0) close(lock);
  }
  fail("lock the state directory", EWOULDBLOCK);
}

// Who was killed refused nothing: fewer ids would be no answer to it.
static void end_as(int status) {
  if (WIFSIGNALED(status)) _exit(128 + WTERMSIG(status));
}

// Of an executor that was killed meanwhile nobody can write a map.
static void fail_to_map(pid_t pid, const char *operation, int error) {
  int status;
  if (waitpid(pid, &status, WNOHANG) == pid) end_as(status);
  fail(operation, error);
}

static void write_text(pid_t pid, const char *name, const char *text) {
  char path[64], operation[96];
  snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
  snprintf(operation, sizeof operation, "write %s", name);
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0 || write(fd, text, strlen(text)) < 0) fail_to_map(pid, operation, errno);
  close(fd);
}

static void run_helper(pid_t executor, char *const *args) {
  pid_t pid = fork();
  if (pid == 0) {
    execv(args[0], args);
    _exit(127);
  }
  int status;
  if (pid < 0 || waitpid(pid, &status, 0) < 0) fail(args[0], errno);
  end_as(status);
  if (status != 0) fail_to_map(executor, args[0], EPERM);
}

static void map_by_helper(pid_t pid, char **map) {
  char target[16];
  snprintf(target, sizeof target, "%d", pid);
  char *uids[] = {map[1], target, "0", map[3], "1", "1", map[5], map[6], NULL};
  char *gids[] = {map[2], target, "0", map[4], "1", "1", map[7], map[8], NULL};
  run_helper(pid, uids);
  run_helper(pid, gids);
}

static void write_maps(pid_t pid, char **map) {
  char text[128];
  if (!strcmp(map[0], "helper")) map_by_helper(pid, map);
  else if (!strcmp(map[0], "shifted")) {
    // Behind the ids of steps those of the caller: what is its own (the store, contexts) is to be reached from inside.
    snprintf(text, sizeof text, "0 %s %s\n%s 0 %s\n", map[1], map[2], map[2], map[3]);
    write_text(pid, "uid_map", text);
    snprintf(text, sizeof text, "0 %s %s\n%s 0 %s\n", map[4], map[5], map[5], map[6]);
    write_text(pid, "gid_map", text);
  } else {
    // Before a group map of our own the kernel wants this; helpers must not have it, it cannot be taken back.
    write_text(pid, "setgroups", "deny");
    snprintf(text, sizeof text, "0 %s 1", map[1]);
    write_text(pid, "uid_map", text);
    snprintf(text, sizeof text, "0 %s 1", map[2]);
    write_text(pid, "gid_map", text);
  }
}

static char wait_for_launcher(int pipe) {
  char go;
  // No byte: the launcher ended before the maps were written.
  if (read(pipe, &go, 1) != 1) _exit(1);
  return go;
}

_Noreturn static void become_executor(struct executor_config *config, int pipe) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  config->filters_devices = wait_for_launcher(pipe) == GO_FILTERED;
  config->settled = pipe;
  if (config->rootless) {
    if (!config->single_id && setgroups(0, NULL) < 0) fail("setgroups", errno);
    if (setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0) fail("become root of the user namespace", errno);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
  }
  prctl(PR_SET_DUMPABLE, 0);
  // Not process 1 of a namespace: what the keeper of a step leaves behind comes here all the same.
  if (config->chroot && prctl(PR_SET_CHILD_SUBREAPER, 1) < 0) fail("reap orphans", errno);
  // Mounts of the host come and go here too; ours never appear there.
  if (!config->chroot && mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0) fail("make the mounts private", errno);
  if (config->trees && k_move_mount(TREES, AT_FDCWD, config->trees) < 0) fail("attach the file system of the trees", errno);
  if (config->trees) close(TREES);
  config->filter = compile_seccomp();
  umask(022);
  if (chdir("/") < 0) fail("enter /", errno);
  serve_executor(config, CONTROL, JOBS);
}

static size_t map_arguments(const char *kind) {
  if (!strcmp(kind, "identity") || !strcmp(kind, "chroot")) return 1;
  if (!strcmp(kind, "shifted")) return 7;
  if (!strcmp(kind, "single")) return 3;
  return !strcmp(kind, "helper") ? 9 : 0;
}

static uint32_t number(const char *text) { return (uint32_t)strtoul(text, NULL, 10); }

// How many ids steps have: 0 to one less.
static void count_ids(struct executor_config *config, char **map) {
  config->single_id = !strcmp(map[0], "single");
  config->shifted = !strcmp(map[0], "shifted");
  config->uid_count = config->gid_count = 1;
  if (config->shifted) {
    config->outer_uid = number(map[1]), config->outer_gid = number(map[4]);
    config->uid_count = number(map[2]), config->gid_count = number(map[5]);
  } else if (!strcmp(map[0], "helper")) {
    config->uid_count += number(map[6]), config->gid_count += number(map[8]);
  }
}

static pid_t clone_executor(const struct executor_config *config, int cgroup) {
  struct kernel_clone_args args = {
      .flags = K_CLONE_NEWNS | K_CLONE_NEWPID | (config->rootless ? K_CLONE_NEWUSER : 0) | (cgroup >= 0 ? K_CLONE_INTO_CGROUP : 0),
      .exit_signal = SIGCHLD,
      .cgroup = cgroup >= 0 ? (uint64_t)cgroup : 0,
  };
  return k_clone3(&args);
}

// Another launcher may sweep a cgroup before its first process is in; more often than this it is not bad luck.
#define CGROUP_ATTEMPTS 64

// -1 where cgroups of version 2 cannot be used.
static pid_t clone_filtered(struct executor_config *config, struct device_cgroup *cgroup) {
  for (int attempt = 0; attempt < CGROUP_ATTEMPTS && make_device_cgroup(cgroup, true); attempt++) {
    config->outer_procs = cgroup->outer_procs;
    limit_unified_cgroup(cgroup->path);
    pid_t pid = clone_executor(config, cgroup->directory);
    if (pid >= 0) return pid;
    int error = errno;
    remove_device_cgroup(cgroup);
    if (error != ENODEV && error != ENOENT) break;
  }
  config->outer_procs = -1;
  return -1;
}

// Writes the executor's pid into its cgroup, while it waits for the pipe.
static bool enter_cgroup(struct device_cgroup *cgroup, bool unified, pid_t pid) {
  char text[16];
  int length = snprintf(text, sizeof text, "%d", pid);
  for (int attempt = 0; attempt < CGROUP_ATTEMPTS && cgroup->directory >= 0; attempt++) {
    if (unified && cgroup->own_procs < 0) cgroup->own_procs = openat(cgroup->directory, "cgroup.procs", O_WRONLY | O_CLOEXEC);
    if (write(cgroup->own_procs, text, (size_t)length) == length) return true;
    int error = errno;
    remove_device_cgroup(cgroup);
    if (error == ENODEV || error == ENOENT) make_device_cgroup(cgroup, unified);
  }
  return false;
}

// In a container it is the container's cgroup that says which devices open, and none can be made. Root who asks for isolation chroot on
// a host has no other guard: a step can make the node of a disk.
static pid_t fork_filtered(struct device_cgroup *cgroup, bool *filtered) {
  bool unified = make_device_cgroup(cgroup, true);
  if (!unified) make_device_cgroup(cgroup, false);
  pid_t pid = fork();
  if (pid > 0) *filtered = enter_cgroup(cgroup, unified, pid);
  return pid;
}

// Version 2 first: a process is cloned into it. Writing to `cgroup.procs` waits for the whole machine, up to 16 ms.
static pid_t start_executor(struct executor_config *config, struct device_cgroup *cgroup, bool *filtered) {
  config->outer_procs = -1;
  *filtered = false;
  if (config->chroot) return fork_filtered(cgroup, filtered);
  // In a user namespace no node opens, whoever made it.
  pid_t pid = config->rootless ? -1 : clone_filtered(config, cgroup);
  if ((*filtered = config->unified_devices = pid >= 0)) return pid;
  if (!config->rootless && make_device_cgroup(cgroup, false)) config->outer_procs = cgroup->outer_procs;
  pid = clone_executor(config, -1);
  if (pid > 0) *filtered = enter_cgroup(cgroup, false, pid);
  return pid;
}

int launch(int argc, char **argv) {
  char **map = argv + 3;
  static struct executor_config config;
  if (argc > 5 && !strcmp(map[0], "trees")) config.trees = map[1], map += 2, argc -= 2;
  if (strcmp(argv[1], "executor") || map_arguments(map[0]) != (size_t)(argc - 3) || argv[2][0] != '/') return 64;
  config.chroot = !strcmp(map[0], "chroot");
  config.rootless = strcmp(map[0], "identity") != 0 && !config.chroot;
  count_ids(&config, map);
  fcntl(CONTROL, F_SETFD, FD_CLOEXEC);
  fcntl(JOBS, F_SETFD, FD_CLOEXEC);
  if (config.trees) fcntl(TREES, F_SETFD, FD_CLOEXEC);
  make_state(argv[2], &config);

  int go[2];
  if (pipe2(go, O_CLOEXEC) < 0) fail("pipe", errno);
  static struct device_cgroup cgroup = {.directory = -1, .own_procs = -1, .outer_procs = -1};
  bool filtered;
  pid_t pid = start_executor(&config, &cgroup, &filtered);
  if (pid < 0) {
    int error = errno;
    remove_device_cgroup(&cgroup);
    remove_tree(config.state);
    fail("clone3", error);
  }
  if (pid == 0) {
    close(go[1]);
    if (cgroup.directory >= 0) close(cgroup.directory);
    if (cgroup.own_procs >= 0) close(cgroup.own_procs);
    become_executor(&config, go[0]);
  }
  close(go[0]);
  if (config.rootless) write_maps(pid, map);
  (void)!write(go[1], &(char){filtered ? GO_FILTERED : GO}, 1);
  // The executor alone holds the sockets: their end is its end.
  close(CONTROL);
  close(JOBS);
  if (config.trees) close(TREES);
  close_device_cgroup(&cgroup);
  static struct process_limit limit;
  // Entering a cgroup of version 1 waits for the whole machine, as long as ten starts of a step: the executor starts meanwhile, and
  // its first step waits for what is left.
  if (!config.chroot) limit_processes(&limit, pid);
  close(go[1]);
  if (!config.chroot) sweep_step_cgroups();
  int status;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) continue;
  remove_device_cgroup(&cgroup);
  remove_process_limit(&limit);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
