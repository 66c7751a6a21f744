#define _GNU_SOURCE
#include "cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "../common/kernel.h"

static bool has_name(const char *list, const char *name) {
  size_t length = strlen(name);
  for (const char *at = list;; at = strchr(at, ',') + 1) {
    if (!strncmp(at, name, length) && (!at[length] || at[length] == ',')) return true;
    if (!strchr(at, ',')) return false;
  }
}

// The path of this process below the hierarchy's root: "0::/path", or "5:cpu,cpuacct:/path".
static bool read_own_path(const char *controller, char *path) {
  FILE *file = fopen("/proc/self/cgroup", "re");
  char line[PATH_MAX + 64];
  bool found = false;
  while (file && !found && fgets(line, sizeof line, file)) {
    char *rest = line;
    strsep(&rest, ":");
    const char *names = strsep(&rest, ":");
    if (!names || !rest || !has_name(names, controller)) continue;
    rest[strcspn(rest, "\n")] = 0;
    // "/../x" lies outside what this namespace shows.
    found = rest[0] == '/' && strncmp(rest, "/..", 3) != 0 && strlen(rest) < PATH_MAX;
    if (found) strcpy(path, rest);
  }
  if (file) fclose(file);
  return found;
}

// The directory of this process: a container may show only its own part of the hierarchy as the root of the mount.
static bool find_own_directory(struct hierarchy *hierarchy, const char *controller) {
  char path[PATH_MAX];
  if (!read_own_path(controller, path)) return false;
  for (const char *rest = path; rest; rest = strchr(rest + 1, '/')) {
    if (snprintf(hierarchy->own, PATH_MAX, "%s%s", hierarchy->mount, strcmp(rest, "/") ? rest : "") >= PATH_MAX) return false;
    if (access(hierarchy->own, F_OK) == 0) return true;
    if (!rest[0] || !rest[1]) break;
  }
  return snprintf(hierarchy->own, PATH_MAX, "%s", hierarchy->mount) < PATH_MAX && access(hierarchy->own, F_OK) == 0;
}

bool find_version_1(const char *controller, struct hierarchy *hierarchy) {
  hierarchy->unified = false;
  return snprintf(hierarchy->mount, PATH_MAX, "/sys/fs/cgroup/%s", controller) < PATH_MAX && find_own_directory(hierarchy, controller);
}

bool find_unified(struct hierarchy *hierarchy) {
  struct statfs status;
  hierarchy->unified = true;
  static const char *const mounts[] = {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"};
  for (size_t i = 0; i < sizeof mounts / sizeof *mounts; i++) {
    if (statfs(mounts[i], &status) < 0 || status.f_type != K_CGROUP2_MAGIC) continue;
    strcpy(hierarchy->mount, mounts[i]);
    return find_own_directory(hierarchy, "");
  }
  return false;
}

static bool is_ours(const char *name) {
  static const char *const prefixes[] = {CGROUP_DEVICES, CGROUP_PIDS, CGROUP_STEP};
  for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++)
    if (!strncmp(name, prefixes[i], strlen(prefixes[i]))) return true;
  return false;
}

void sweep_cgroups(const char *parent) {
  DIR *entries = opendir(parent);
  struct dirent *entry;
  while (entries && (entry = readdir(entries)))
    if (is_ours(entry->d_name)) unlinkat(dirfd(entries), entry->d_name, AT_REMOVEDIR);
  if (entries) closedir(entries);
}

bool name_cgroup(char *path, const char *parent, const char *prefix) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return snprintf(path, PATH_MAX, "%s/%s%d-%lld%09ld", parent, prefix, getpid(), (long long)now.tv_sec, now.tv_nsec) < PATH_MAX;
}

static int open_file(const char *directory, const char *file, int flags) {
  char path[PATH_MAX];
  if (snprintf(path, sizeof path, "%s/%s", directory, file) >= (int)sizeof path) return errno = ENAMETOOLONG, -1;
  return open(path, flags | O_CLOEXEC);
}

bool write_cgroup_file(const char *directory, const char *file, const char *text) {
  int fd = open_file(directory, file, O_WRONLY);
  if (fd < 0) return false;
  bool written = write(fd, text, strlen(text)) >= 0;
  int error = errno;
  close(fd);
  errno = error;
  return written;
}

bool read_cgroup_file(const char *directory, const char *file, char *text, size_t size) {
  int fd = open_file(directory, file, O_RDONLY);
  if (fd < 0) return false;
  ssize_t length = read(fd, text, size - 1);
  int error = errno;
  close(fd);
  errno = error;
  if (length < 0) return false;
  text[length > 0 && text[length - 1] == '\n' ? length - 1 : length] = 0;
  return true;
}

bool has_word(const char *list, const char *word) {
  size_t length = strlen(word);
  for (const char *at = strstr(list, word); at; at = strstr(at + 1, word))
    if ((at == list || at[-1] == ' ') && (!at[length] || at[length] == ' ')) return true;
  return false;
}

// A share of what the machine can have at all, whose memory the kernel has looked at: it grows with the machine, as a compiler's
// processes do.
#define SHARE_PERCENT 15
#define FEWEST 2048

unsigned default_process_limit(void) {
  char pids[32], threads[32];
  if (!read_cgroup_file("/proc/sys/kernel", "pid_max", pids, sizeof pids) || !read_cgroup_file("/proc/sys/kernel", "threads-max", threads, sizeof threads))
    return FEWEST;
  unsigned long most = strtoul(pids, NULL, 10), other = strtoul(threads, NULL, 10);
  if (other < most) most = other;
  most = most / 100 * SHARE_PERCENT;
  return most > FEWEST ? (unsigned)most : FEWEST;
}
