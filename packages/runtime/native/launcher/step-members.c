#define _GNU_SOURCE
#include "step-members.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct process {
  pid_t pid, parent, session;
  unsigned threads;
  enum { UNKNOWN, BELOW, ELSEWHERE } place;
};

// A name may hold anything, brackets too: the fields begin behind the last one.
static bool read_process(int proc, pid_t pid, struct process *process) {
  char path[32], text[1024];
  snprintf(path, sizeof path, "%d/stat", pid);
  int fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
  ssize_t length = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
  if (fd >= 0) close(fd);
  if (length <= 0) return false;
  text[length] = 0;
  char *fields = strrchr(text, ')');
  *process = (struct process){.pid = pid};
  // State, parent, session, and the number of threads (proc_pid_stat(5): fields 3, 4, 6, 20).
  return fields && sscanf(fields + 1, " %*c %d %*d %d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %u", &process->parent, &process->session, &process->threads) == 3;
}

bool is_below(int proc, pid_t pid, pid_t ancestor) {
  struct process process;
  // A loop cannot be seen in one moment; over many, numbers may be used again.
  for (int depth = 0; pid > 1 && depth < 1 << 16; depth++) {
    if (!read_process(proc, pid, &process)) return false;
    if (process.parent == ancestor) return process.session != ancestor;
    pid = process.parent;
  }
  return false;
}

static int by_pid(const void *a, const void *b) {
  pid_t left = ((const struct process *)a)->pid, right = ((const struct process *)b)->pid;
  return left < right ? -1 : left > right;
}

static void place(struct process *all, size_t count, struct process *one, pid_t ancestor) {
  struct process *chain[256];
  size_t length = 0;
  int found = UNKNOWN;
  for (struct process *at = one; !found; ) {
    if (at->place != UNKNOWN) found = at->place;
    // In its own session the sentinel has a second one of its kind, which is none of the step.
    else if (at->parent == ancestor) found = at->session == ancestor ? ELSEWHERE : BELOW;
    if (length < sizeof chain / sizeof *chain) chain[length++] = at;
    if (found) break;
    struct process key = {.pid = at->parent};
    at = length < sizeof chain / sizeof *chain ? bsearch(&key, all, count, sizeof key, by_pid) : NULL;
    // Deeper than this it is no step of ours, or one that forks itself to death.
    if (!at) found = length < sizeof chain / sizeof *chain ? ELSEWHERE : BELOW;
  }
  while (length > 0) chain[--length]->place = found;
}

// Every process there is now, sorted by number, with its place.
static size_t read_all(int proc, pid_t ancestor, struct process **list) {
  struct process *all = NULL, one;
  size_t count = 0;
  int fd = openat(proc, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *entries = fd < 0 ? NULL : fdopendir(fd);
  struct dirent *entry;
  while (entries && (entry = readdir(entries))) {
    if (entry->d_name[0] < '1' || entry->d_name[0] > '9' || !read_process(proc, atoi(entry->d_name), &one)) continue;
    struct process *grown = count & (count - 1) ? all : realloc(all, (count ? count * 2 : 1) * sizeof *all);
    if (!grown) break;
    all = grown;
    all[count++] = one;
  }
  if (entries) closedir(entries);
  if (all) qsort(all, count, sizeof *all, by_pid);
  for (size_t i = 0; i < count; i++) place(all, count, &all[i], ancestor);
  *list = all;
  return count;
}

unsigned count_below(int proc, pid_t ancestor) {
  struct process *all;
  unsigned threads = 0;
  for (size_t i = read_all(proc, ancestor, &all); i-- > 0;)
    if (all[i].place == BELOW) threads += all[i].threads;
  free(all);
  return threads;
}

unsigned signal_below(int proc, pid_t ancestor, int number) {
  struct process *all;
  unsigned signaled = 0;
  for (size_t i = read_all(proc, ancestor, &all); i-- > 0;)
    if (all[i].place == BELOW && kill(all[i].pid, number) == 0) signaled++;
  free(all);
  return signaled;
}
