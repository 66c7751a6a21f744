#define _GNU_SOURCE
#include "proc-places.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../common/kernel.h"
#include "../common/remove-tree.h"
#include "step-members.h"

static void make_place(int directory, const char *name, mode_t type, const char *link) {
  if (S_ISDIR(type)) mkdirat(directory, name, 0555);
  else if (S_ISLNK(type)) (void)!symlinkat(link, directory, name);
  else mknodat(directory, name, S_IFREG | 0444, 0);
}

void make_proc_places(int places) {
  static const char *const directories[] = {"self", "self/fd", "self/fdinfo", "self/task", "self/ns", "self/net", "self/attr", "thread-self", "sys", "sys/kernel", "sys/fs", "sys/vm", "sys/net", "net", "1"};
  static const char *const files[] = {
      "cmdline", "cpuinfo", "devices", "diskstats", "filesystems", "loadavg", "meminfo", "modules", "mounts", "partitions", "stat", "swaps", "uptime", "version",
      "vmstat", "self/auxv", "self/cgroup", "self/cmdline", "self/comm", "self/environ", "self/limits", "self/maps", "self/mountinfo", "self/mounts",
      "self/oom_score", "self/oom_score_adj", "self/smaps", "self/stat", "self/statm", "self/status",
  };
  for (size_t i = 0; i < sizeof directories / sizeof *directories; i++) make_place(places, directories[i], S_IFDIR, NULL);
  for (size_t i = 0; i < sizeof files / sizeof *files; i++) make_place(places, files[i], S_IFREG, NULL);
  make_place(places, "self/root", S_IFLNK, "/");
  make_place(places, "1/root", S_IFLNK, "/");
}

static int open_mirror(int places, const char *path) {
  char part[PATH_MAX];
  for (size_t end = 0; end <= strlen(path); end++) {
    if (path[end] && path[end] != '/') continue;
    snprintf(part, sizeof part, "%.*s", (int)end, path);
    if (*part && mkdirat(places, part, 0555) < 0 && errno != EEXIST) return -1;
  }
  return k_openat2(places, *path ? path : ".", O_RDONLY | O_DIRECTORY, K_RESOLVE_BENEATH | K_RESOLVE_NO_SYMLINKS);
}

static bool is_number(const char *name) { return *name && name[strspn(name, "0123456789")] == 0; }

static bool is_at(int directory, const char *name, struct stat *status) { return fstatat(directory, name, status, AT_SYMLINK_NOFOLLOW) == 0; }

static void remove_stale(int mirror, int shown, bool processes, pid_t sentinel) {
  int copy = openat(mirror, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *entries = copy < 0 ? NULL : fdopendir(copy);
  struct dirent *entry;
  struct stat status;
  while (entries && (entry = readdir(entries))) {
    const char *name = entry->d_name;
    if (!is_number(name) || (processes && !strcmp(name, "1"))) continue;
    bool stays = is_at(shown, name, &status) && (!processes || is_below(shown, atoi(name), sentinel));
    // A link of a descriptor may lead elsewhere by now.
    if (!stays || entry->d_type == DT_LNK) remove_tree_at(mirror, name, NULL);
  }
  if (entries) closedir(entries);
}

int mirror_directory(int places, const char *path, int shown, pid_t sentinel) {
  bool processes = !*path;
  int mirror = open_mirror(places, path);
  DIR *entries = mirror < 0 ? NULL : fdopendir(shown);
  if (!entries) close(shown);
  struct dirent *entry;
  if (entries) remove_stale(mirror, shown, processes, sentinel);
  while (entries && (entry = readdir(entries))) {
    const char *name = entry->d_name;
    struct stat status;
    char link[PATH_MAX] = {0};
    if (!strcmp(name, ".") || !strcmp(name, "..") || is_at(mirror, name, &status)) continue;
    if (processes && is_number(name) && !is_below(shown, atoi(name), sentinel)) continue;
    // A listing tells the types; what else is asked of an entry is asked by its name, and answered.
    bool known = entry->d_type == DT_LNK && readlinkat(shown, name, link, sizeof link - 1) > 0;
    make_place(mirror, name, entry->d_type == DT_DIR ? S_IFDIR : known ? S_IFLNK : S_IFREG, link);
    // Whose a process is, is told by the owner of its directory.
    if (processes && is_number(name) && is_at(dirfd(entries), name, &status)) (void)!fchownat(mirror, name, status.st_uid, status.st_gid, AT_SYMLINK_NOFOLLOW);
  }
  if (entries) closedir(entries);
  return mirror;
}

// Those that were shown one by one: few.
static pid_t shown_ones[64];
static size_t shown_count;

void show_process(int root, pid_t pid, uid_t uid, gid_t gid) {
  char name[32];
  snprintf(name, sizeof name, "proc/%d", pid);
  if (mkdirat(root, name, 0555) < 0) return;
  (void)!fchownat(root, name, uid, gid, AT_SYMLINK_NOFOLLOW);
  if (shown_count < sizeof shown_ones / sizeof *shown_ones) shown_ones[shown_count++] = pid;
}

void hide_ended(int root, int proc) {
  char name[16];
  struct stat status;
  int places = -1;
  for (size_t i = shown_count; i-- > 0;) {
    snprintf(name, sizeof name, "%d", shown_ones[i]);
    if (is_at(proc, name, &status)) continue;
    if (places < 0) places = openat(root, "proc", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (places >= 0) remove_tree_at(places, name, NULL);
    shown_ones[i] = shown_ones[--shown_count];
  }
  if (places >= 0) close(places);
}
