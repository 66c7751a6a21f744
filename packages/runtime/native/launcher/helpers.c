#define _GNU_SOURCE
#include "helpers.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../common/kernel.h"
#include "../common/remove-tree.h"
#include "confine.h"
#include "moved-tree.h"
#include "moved-undo.h"
#include "string-list.h"
#include "stubs.h"
#include "write-tree.h"

// A child that does one thing, and reports it on a pipe if that fails.
struct helper {
  pid_t pid;
  uint32_t id, answer; // the frame that tells how it ended
  int report;
};

static const struct executor_config *config;
static int jobs_socket = -1;
static pid_t jobs_pid = -1;
static struct helper *helpers;
static size_t helper_count;

void prepare_helpers(const struct executor_config *shared, int jobs) {
  config = shared;
  jobs_socket = jobs;
}

static void become_child(void) {
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
}

static void send_jobs_ended(struct buffer *output, uint32_t id, int status) { buffer_append_frame(output, FRAME_JOBS_ENDED, id, &status, sizeof status); }

struct jobs_request {
  struct strings args, env, bases, writable, readable;
};

static struct strings *list_of(struct jobs_request *request, uint32_t tag) {
  switch (tag) {
  case FIELD_ARG: return &request->args;
  case FIELD_ENV: return &request->env;
  case FIELD_PATH: return &request->writable;
  case FIELD_READABLE: return &request->readable;
  case FIELD_MOUNT_BASE: return &request->bases;
  default: return NULL;
  }
}

_Noreturn static void run_jobs(const struct jobs_request *request) {
  const struct strings *args = &request->args, *env = &request->env;
  const char *operation;
  become_child();
  if (!take_callers_id(config)) {
    dprintf(2, "take an id that no step has: %s\n", strerror(errno));
    _exit(126);
  }
  if (request->bases.count > 0 && !confine_jobs(config, request->bases.items[0], &request->writable, &request->readable, &operation)) {
    dprintf(2, "confine the process for file jobs: %s: %s\n", operation, strerror(errno));
    _exit(126);
  }
  // Node reads /proc/self: it must be this namespace's. Steps have a /proc of their own.
  if (dup2(jobs_socket, 3) < 0) _exit(126);
  fcntl(3, F_SETFD, 0);
  k_close_range(4, ~0u, K_CLOSE_RANGE_CLOEXEC);
  execve(args->items[0], (char *const *)args->items, (char *const *)env->items);
  dprintf(2, "exec %s: %s\n", args->items[0], strerror(errno));
  _exit(127);
}

void start_jobs(uint32_t id, const uint8_t *payload, size_t length, struct buffer *output) {
  struct jobs_request request = {0};
  struct cursor cursor = {payload, payload + length};
  struct field field;
  int more;
  while ((more = next_field(&cursor, &field)) > 0) {
    const char *text = field_string(&field);
    struct strings *list = list_of(&request, field.tag);
    if (!text || !list) {
      more = -1;
      break;
    }
    add_string(list, text);
  }
  bool usable = more == 0 && request.args.count > 0 && jobs_socket >= 0 && jobs_pid < 0;
  // Where a container's covered one forbids that (EPERM), the visible one says of `self` what it should.
  if (usable && !config->chroot && mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0) usable = errno == EPERM && config->rootless;
  if (usable && (jobs_pid = fork()) == 0) run_jobs(&request);
  if (!usable || jobs_pid < 0) send_jobs_ended(output, id, 126 << 8);
  else {
    close(jobs_socket); // so that the parent sees the end of the child's side
    jobs_socket = -1;
  }
  for (uint32_t tag = 0; tag <= FIELD_MOUNT_BASE; tag++)
    if (list_of(&request, tag)) free(list_of(&request, tag)->items);
}

// One write, so that a report is whole or not there. It fits into a pipe, which never blocks.
_Noreturn static void report_removal(int report, int error, const char *path) {
  uint8_t message[4 + PATH_MAX];
  size_t length = strnlen(path, PATH_MAX);
  memcpy(message, &error, 4);
  memcpy(message + 4, path, length);
  (void)!write(report, message, 4 + length);
  _exit(1);
}

_Noreturn static void run_removal(const uint8_t *payload, size_t length, int report) {
  struct cursor cursor = {payload, payload + length};
  struct field field;
  int more;
  while ((more = next_field(&cursor, &field)) > 0) {
    const char *path = field.tag == FIELD_PATH ? field_string(&field) : NULL;
    if (!path || path[0] != '/') report_removal(report, EINVAL, path ? path : "");
    if (remove_tree(path) < 0) report_removal(report, errno, path);
  }
  if (more < 0) report_removal(report, EBADMSG, "");
  _exit(0);
}

// In the child: 0, with `report`. Else -1 when there is one, or none could be made: then that was answered.
static int start_helper(uint32_t id, uint32_t answer, int *report, struct buffer *output) {
  int ends[2] = {-1, -1};
  struct helper *grown = realloc(helpers, (helper_count + 1) * sizeof *helpers);
  if (!grown) _exit(70);
  helpers = grown;
  pid_t pid = pipe2(ends, O_CLOEXEC) < 0 ? -1 : fork();
  int error = errno;
  if (pid == 0) {
    become_child();
    *report = ends[1];
    return 0;
  }
  if (ends[1] >= 0) close(ends[1]);
  if (pid < 0) {
    if (ends[0] >= 0) close(ends[0]);
    buffer_append_frame(output, answer, id, &error, sizeof error);
  } else helpers[helper_count++] = (struct helper){pid, id, answer, ends[0]};
  return -1;
}

void start_removal(uint32_t id, const uint8_t *payload, size_t length, struct buffer *output) {
  int report;
  if (start_helper(id, FRAME_REMOVED, &report, output) == 0) run_removal(payload, length, report);
}

void start_tree_writer(uint32_t id, const uint8_t *payload, size_t length, struct buffer *output) {
  struct cursor cursor = {payload, payload + length};
  struct field field;
  const char *text = next_field(&cursor, &field) > 0 && field.tag == FIELD_PATH ? field_string(&field) : NULL;
  // A copy: the writer wipes what requests left in memory.
  char *directory = text && text[0] == '/' ? strdup(text) : NULL;
  int report, error = EBADMSG;
  if (!directory) buffer_append_frame(output, FRAME_TREE_WRITTEN, id, &error, sizeof error);
  else if (start_helper(id, FRAME_TREE_WRITTEN, &report, output) == 0) run_tree_writer(config, directory, report);
  free(directory);
}

bool helper_ended(pid_t pid, int status, struct buffer *output) {
  if (pid == jobs_pid) {
    send_jobs_ended(output, 0, status);
    jobs_pid = -1;
    return true;
  }
  for (size_t i = 0; i < helper_count; i++) {
    if (helpers[i].pid != pid) continue;
    uint8_t report[4 + 64 + PATH_MAX] = {0};
    ssize_t length = read(helpers[i].report, report, sizeof report);
    // Killed (out of memory) it could not say what is left: that is no success.
    if (length < 4) memcpy(report, &(int){status == 0 ? 0 : EINTR}, 4);
    buffer_append_frame(output, helpers[i].answer, helpers[i].id, report, length > 4 ? (size_t)length : 4);
    close(helpers[i].report);
    helpers[i] = helpers[--helper_count];
    return true;
  }
  return false;
}

void sweep_executors(const char *parent, const char *but) {
  DIR *entries = opendir(parent);
  struct dirent *entry;
  while (entries && (entry = readdir(entries))) {
    if (strncmp(entry->d_name, "executor-", 9) || (but && !strcmp(entry->d_name, but))) continue;
    int fd = openat(dirfd(entries), entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    char path[PATH_MAX * 2];
    snprintf(path, sizeof path, "%s/%s", parent, entry->d_name);
    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0) {
      undo_moved_trees(path);
      remove_tree(path);
    }
    if (fd >= 0) close(fd);
  }
  if (entries) closedir(entries);
}

void sweep_leftovers(const struct executor_config *shared) {
  char parent[PATH_MAX];
  strcpy(parent, shared->state);
  char *own = strrchr(parent, '/');
  *own++ = 0;
  if (shared->chroot) return sweep_executors(parent, own);
  // Reaped like any orphan. What a failed fork leaves is for the next start.
  if (fork() != 0) return;
  become_child();
  sweep_executors(parent, own);
  _exit(0);
}

pid_t start_undoing(const struct executor_config *shared, uint32_t id) {
  char path[PATH_MAX + 32], what[PATH_MAX];
  int directory = open_moved_directory(shared->state, id, path);
  if (directory < 0) return -1;
  pid_t pid = fork();
  if (pid == 0) {
    // It may outlive this executor, whose lock it must not hold.
    if (dup2(directory, 3) < 0 || k_close_range(4, ~0u, 0) < 0) _exit(1);
    // Until the last process of the step lets go of it.
    flock(3, LOCK_EX);
    undo_moved_tree(3, what);
    remove_tree(path);
    _exit(0);
  }
  close(directory);
  return pid;
}

void remove_stubs(const struct executor_config *shared, uint32_t id) {
  char path[PATH_MAX + 32];
  snprintf(path, sizeof path, "%s/low-%u", shared->state, id);
  remove_tree(path);
  snprintf(path, sizeof path, "%s/top-%u", shared->state, id);
  remove_tree(path);
}

void empty_work_directory(const char *work) {
  char path[PATH_MAX + 8];
  snprintf(path, sizeof path, "%s/work", work);
  remove_tree(path);
}

// Whoever takes mount points away has it alone for that moment, and a process of isolation chroot for as long as it lives.
#define HOLD_TRIES 100

int hold_plain_directory(const char *directory) {
  int fd = open(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  // One that is not there is told of where it is mounted, and one of others needs not be read.
  if (fd < 0) return -1;
  for (int tries = 0; tries < HOLD_TRIES; tries++) {
    if (flock(fd, LOCK_SH | LOCK_NB) == 0) return fd;
    if (errno != EWOULDBLOCK && errno != EINTR) break;
    nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
  }
  int error = errno;
  close(fd);
  return error == EWOULDBLOCK ? -EBUSY : -1;
}

void clear_plain_directory(const struct executor_config *shared, uint32_t id, const char *directory, int held) {
  char notes[PATH_MAX + 32];
  plain_stub_notes(shared->state, id, notes);
  // rmdir takes a mount of another process with it: what others may stand on stays.
  if (held < 0 || flock(held, LOCK_EX | LOCK_NB) == 0) remove_plain_stubs(directory, notes);
  else unlink(notes);
  if (held < 0) return;
  flock(held, LOCK_UN);
  close(held);
}

void end_executor(const struct executor_config *shared) {
  // Everything in this pid namespace but ourselves; the steps' namespaces lie below and go with their pid 1. Without one it
  // is those that we know; the keepers of steps end by themselves, when what they put into a root is taken back.
  if (!shared->chroot) kill(-1, SIGKILL);
  if (shared->chroot && jobs_pid > 0) kill(jobs_pid, SIGKILL);
  for (size_t i = 0; i < helper_count && shared->chroot; i++) kill(helpers[i].pid, SIGKILL);
  while (waitpid(-1, NULL, 0) > 0 || errno == EINTR) continue;
  if (shared->chroot) undo_moved_trees(shared->state);
  remove_tree(shared->state);
  _exit(0);
}
