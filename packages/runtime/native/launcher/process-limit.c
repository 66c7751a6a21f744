#define _GNU_SOURCE
#include "process-limit.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cgroup.h"

// Another launcher may sweep a cgroup before its first process is in.
#define ATTEMPTS 64

static void write_limit(const char *path) {
  char text[16];
  snprintf(text, sizeof text, "%u", default_process_limit());
  write_cgroup_file(path, "pids.max", text);
}

void limit_unified_cgroup(const char *path) {
  char parent[PATH_MAX], enabled[256];
  if (snprintf(parent, sizeof parent, "%.*s", (int)(strrchr(path, '/') - path), path) >= (int)sizeof parent) return;
  if (!read_cgroup_file(parent, "cgroup.subtree_control", enabled, sizeof enabled)) return;
  char type[32];
  // Below the root the parent, in which we are, would become a tree of threads, which no other process may enter. There
  // whoever made it has limited it: systemd does.
  if (!has_word(enabled, "pids") && (read_cgroup_file(parent, "cgroup.type", type, sizeof type) || !write_cgroup_file(parent, "cgroup.subtree_control", "+pids"))) return;
  write_limit(path);
}

void limit_processes(struct process_limit *limit, pid_t pid) {
  struct hierarchy hierarchy;
  char text[16];
  if (!find_version_1("pids", &hierarchy)) return;
  sweep_cgroups(hierarchy.own);
  snprintf(text, sizeof text, "%d", pid);
  for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
    if (!name_cgroup(limit->path, hierarchy.own, CGROUP_PIDS) || mkdir(limit->path, 0755) < 0) break;
    write_limit(limit->path);
    if (write_cgroup_file(limit->path, "cgroup.procs", text)) return;
    int error = errno;
    rmdir(limit->path);
    if (error != ENODEV && error != ENOENT) break;
  }
  limit->path[0] = 0;
}

void remove_process_limit(struct process_limit *limit) {
  if (limit->path[0]) rmdir(limit->path);
  limit->path[0] = 0;
}
