#define _GNU_SOURCE
#include "limits.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../common/kernel.h"
#include "cgroup.h"
#include "devices.h"
#include "failure.h"

// Others may sweep a directory of ours before its first process is in.
#define ATTEMPTS 64

enum controller { MEMORY, CPU, CPUSET, PIDS, CONTROLLERS };
static const char *const names[CONTROLLERS] = {"memory", "cpu", "cpuset", "pids"};

bool is_limited(const struct step_spec *step) { return step->limits.any; }

static bool is_wanted(const struct limit_spec *limits, enum controller controller) {
  switch (controller) {
  case MEMORY: return limits->memory || limits->memory_swap;
  case CPU: return limits->cpu_shares || limits->cpu_quota || limits->cpu_period;
  case CPUSET: return limits->cpus || limits->mems;
  default: return false;
  }
}

static bool fail(struct limit_failure *failure, int error, const char *format, ...) __attribute__((format(printf, 3, 4)));
static bool fail(struct limit_failure *failure, int error, const char *format, ...) {
  failure->error = error;
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(failure->operation, sizeof failure->operation, format, arguments);
  va_end(arguments);
  return false;
}

// One value of a step's cgroup. "limit NAME: …": the coordinator knows it by this beginning.
static bool set(const char *directory, const char *file, struct limit_failure *failure, const char *format, ...) __attribute__((format(printf, 4, 5)));
static bool set(const char *directory, const char *file, struct limit_failure *failure, const char *format, ...) {
  char text[4096];
  va_list arguments;
  va_start(arguments, format);
  int length = vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  if (length < (int)sizeof text && write_cgroup_file(directory, file, text)) return true;
  return fail(failure, length < (int)sizeof text ? errno : E2BIG, "limit %.*s: write %.60s to %s", (int)strcspn(file, "."), file, text, file);
}

static bool set_memory(const char *directory, const struct limit_spec *limits, struct limit_failure *failure) {
  return (!limits->memory || set(directory, "memory.limit_in_bytes", failure, "%lld", (long long)limits->memory)) &&
         (!limits->memory_swap || set(directory, "memory.memsw.limit_in_bytes", failure, "%lld", (long long)limits->memory_swap));
}

static bool set_cpu(const char *directory, const struct limit_spec *limits, struct limit_failure *failure) {
  return (!limits->cpu_shares || set(directory, "cpu.shares", failure, "%lld", (long long)limits->cpu_shares)) &&
         (!limits->cpu_period || set(directory, "cpu.cfs_period_us", failure, "%lld", (long long)limits->cpu_period)) &&
         (!limits->cpu_quota || set(directory, "cpu.cfs_quota_us", failure, "%lld", (long long)limits->cpu_quota));
}

// A new one has neither, and takes no process before it has both: what nobody asks for is as above it.
static bool set_cpuset_file(const char *directory, const char *parent, const char *file, const char *asked, struct limit_failure *failure) {
  char above[4096];
  if (!asked && !read_cgroup_file(parent, file, above, sizeof above)) return fail(failure, errno, "limit cpuset: read %s", file);
  return set(directory, file, failure, "%s", asked ? asked : above);
}

static bool set_cpuset(const char *directory, const char *parent, const struct limit_spec *limits, struct limit_failure *failure) {
  return set_cpuset_file(directory, parent, "cpuset.cpus", limits->cpus, failure) && set_cpuset_file(directory, parent, "cpuset.mems", limits->mems, failure);
}

static bool set_pids(const char *directory, struct limit_failure *failure) { return set(directory, "pids.max", failure, "%u", default_process_limit()); }

static bool set_version_1(enum controller controller, const char *directory, const char *parent, const struct limit_spec *limits, struct limit_failure *failure) {
  switch (controller) {
  case MEMORY: return set_memory(directory, limits, failure);
  case CPU: return set_cpu(directory, limits, failure);
  case CPUSET: return set_cpuset(directory, parent, limits, failure);
  default: return set_pids(directory, failure);
  }
}

static bool set_swap(const char *directory, const struct limit_spec *limits, struct limit_failure *failure) {
  if (!limits->memory_swap) return true;
  if (limits->memory_swap > 0) return set(directory, "memory.swap.max", failure, "%lld", (long long)(limits->memory_swap - limits->memory));
  // Where swap is not counted nothing limits it.
  return set(directory, "memory.swap.max", failure, "max") || failure->error == ENOENT;
}

static bool set_unified(const char *directory, const struct limit_spec *limits, struct limit_failure *failure) {
  if (limits->memory && !set(directory, "memory.max", failure, "%lld", (long long)limits->memory)) return false;
  if (!set_swap(directory, limits, failure)) return false;
  if (limits->cpu_weight && !set(directory, "cpu.weight", failure, "%lld", (long long)limits->cpu_weight)) return false;
  if (limits->cpu_quota || limits->cpu_period) {
    long long period = limits->cpu_period ? limits->cpu_period : 100000;
    if (limits->cpu_quota > 0 ? !set(directory, "cpu.max", failure, "%lld %lld", (long long)limits->cpu_quota, period) : !set(directory, "cpu.max", failure, "max %lld", period)) return false;
  }
  return (!limits->cpus || set(directory, "cpuset.cpus", failure, "%s", limits->cpus)) && (!limits->mems || set(directory, "cpuset.mems", failure, "%s", limits->mems));
}

// Whether a process beside this cgroup instead of in it would escape something.
static bool limits_something(const char *directory) {
  static const struct {
    const char *file, *nothing;
  } limits[] = {{"memory.max", "max"}, {"memory.high", "max"}, {"memory.swap.max", "max"}, {"cpu.max", "max "}, {"cpuset.cpus", ""}, {"cpuset.mems", ""}};
  char text[4096];
  for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
    if (!read_cgroup_file(directory, limits[i].file, text, sizeof text)) continue;
    if (limits[i].nothing[0] ? strncmp(text, limits[i].nothing, strlen(limits[i].nothing)) != 0 : text[0] != 0) return true;
  }
  return false;
}

// Below the root the kernel lets a cgroup have processes or controllers for what is in it, not both.
static int enable_in(const char *directory, const struct limit_spec *limits, const bool *unified) {
  char enabled[256], available[256], text[4];
  if (!read_cgroup_file(directory, "cgroup.subtree_control", enabled, sizeof enabled) || !read_cgroup_file(directory, "cgroup.controllers", available, sizeof available)) return errno;
  if (access(directory, W_OK) < 0) return errno;
  bool is_root = !read_cgroup_file(directory, "cgroup.type", text, sizeof text);
  if (!is_root && read_cgroup_file(directory, "cgroup.procs", text, sizeof text) && text[0]) return EBUSY;
  for (enum controller controller = 0; controller < CONTROLLERS; controller++) {
    if (!unified[controller] || !is_wanted(limits, controller) || has_word(enabled, names[controller])) continue;
    if (!has_word(available, names[controller])) return ENOENT;
    char word[16];
    snprintf(word, sizeof word, "+%s", names[controller]);
    if (!write_cgroup_file(directory, "cgroup.subtree_control", word)) return errno;
  }
  return 0;
}

static const char *first_wanted(const struct limit_spec *limits, const bool *unified) {
  for (enum controller controller = 0; controller < CONTROLLERS; controller++)
    if (unified[controller] && is_wanted(limits, controller)) return names[controller];
  return "parent";
}

// Upward from where we are, never past a cgroup that limits us: a limit does not lift another.
static bool find_place(const struct limit_spec *limits, const bool *unified, char *place, struct limit_failure *failure) {
  struct hierarchy hierarchy;
  const char *what = first_wanted(limits, unified);
  if (!find_unified(&hierarchy)) return fail(failure, ENOENT, "limit %s: find a cgroup that has it", what);
  if (limits->parent) {
    if (snprintf(place, PATH_MAX, "%s%s", hierarchy.mount, limits->parent) >= PATH_MAX) return fail(failure, ENAMETOOLONG, "limit %s: cgroup %s", what, limits->parent);
    int error = access(place, F_OK) < 0 ? errno : enable_in(place, limits, unified);
    return error == 0 || fail(failure, error, "limit %s: %s the cgroup %s", what, access(place, F_OK) < 0 ? "find" : "have it below", limits->parent);
  }
  int first = 0;
  for (strcpy(place, hierarchy.own);;) {
    int error = enable_in(place, limits, unified);
    if (error == 0) return true;
    if (first == 0) first = error;
    const char *shown = strlen(place) > strlen(hierarchy.mount) ? place + strlen(hierarchy.mount) : "/";
    if (!strcmp(place, hierarchy.mount)) return fail(failure, first == EBUSY && error != ENOENT ? error : first, "limit %s: have it below the cgroup %s", what, shown);
    if (limits_something(place)) return fail(failure, EBUSY, "limit %s: leave the cgroup %s, which has limits of its own", what, shown);
    *strrchr(place, '/') = 0;
  }
}

static bool add_path(struct step_cgroups *cgroups, const char *place) { return name_cgroup(cgroups->paths[cgroups->count], place, CGROUP_STEP) && ++cgroups->count; }

static bool make_unified(const struct executor_config *config, const struct step_spec *step, const bool *unified, struct step_cgroups *cgroups, struct limit_failure *failure) {
  char place[PATH_MAX];
  struct limit_failure ignored;
  if (!find_place(&step->limits, unified, place, failure)) return false;
  const char *what = first_wanted(&step->limits, unified);
  if (!add_path(cgroups, place)) return fail(failure, ENAMETOOLONG, "limit %s: name a cgroup", what);
  const char *path = cgroups->paths[0];
  if (mkdir(path, 0755) < 0) {
    cgroups->count = 0;
    return fail(failure, errno, "limit %s: make a cgroup in %s", what, place + strlen("/sys/fs/cgroup"));
  }
  if (!set_unified(path, &step->limits, failure)) return false;
  // As for all steps; where there is no such controller something above limits.
  set_pids(path, &ignored);
  cgroups->directory = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (cgroups->directory < 0) return fail(failure, errno, "limit %s: open the cgroup", what);
  // It leaves the cgroup of the executor, whose filter says which devices open.
  if (config->filters_devices && config->unified_devices && !(step->flags & STEP_INSECURE) && !filter_devices(cgroups->directory))
    return fail(failure, errno, "limit %s: filter devices in the cgroup", what);
  return true;
}

static bool add_version_1(const struct limit_spec *limits, enum controller controller, struct step_cgroups *cgroups, struct limit_failure *failure) {
  struct hierarchy hierarchy;
  char place[PATH_MAX];
  if (!find_version_1(names[controller], &hierarchy)) return fail(failure, ENOENT, "limit %s: find a cgroup that has it", names[controller]);
  if (!limits->parent) strcpy(place, hierarchy.own);
  else if (snprintf(place, PATH_MAX, "%s%s", hierarchy.mount, limits->parent) >= PATH_MAX || access(place, F_OK) < 0)
    return fail(failure, errno, "limit %s: find the cgroup %s", names[controller], limits->parent);
  return add_path(cgroups, place) || fail(failure, ENAMETOOLONG, "limit %s: name a cgroup", names[controller]);
}

bool make_step_cgroups(const struct executor_config *config, const struct step_spec *step, struct step_cgroups *cgroups, struct limit_failure *failure) {
  bool unified[CONTROLLERS] = {false}, any_unified = false, has_version_1 = false;
  struct hierarchy hierarchy;
  cgroups->directory = -1;
  cgroups->count = 0;
  for (enum controller controller = 0; controller < CONTROLLERS; controller++) {
    bool is_version_1 = find_version_1(names[controller], &hierarchy);
    has_version_1 |= is_version_1;
    unified[controller] = !is_version_1;
    any_unified |= !is_version_1 && is_wanted(&step->limits, controller);
  }
  // A place of its own choice holds the step in every hierarchy that counts something.
  if ((any_unified || (step->limits.parent && !has_version_1)) && !make_unified(config, step, unified, cgroups, failure)) return false;
  for (enum controller controller = 0; controller < CONTROLLERS; controller++) {
    if (unified[controller] || !(is_wanted(&step->limits, controller) || step->limits.parent)) continue;
    if (!add_version_1(&step->limits, controller, cgroups, failure)) return false;
  }
  return true;
}

static bool enter_version_1(enum controller controller, const char *path, const struct limit_spec *limits, struct limit_failure *failure) {
  char parent[PATH_MAX];
  snprintf(parent, sizeof parent, "%.*s", (int)(strrchr(path, '/') - path), path);
  for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
    if (mkdir(path, 0755) < 0 && errno != EEXIST) return fail(failure, errno, "limit %s: make a cgroup in %s", names[controller], parent + strlen("/sys/fs/cgroup"));
    if (set_version_1(controller, path, parent, limits, failure)) {
      if (write_cgroup_file(path, "cgroup.procs", "0")) return true;
      fail(failure, errno, "limit %s: enter the cgroup", names[controller]);
    }
    if (access(path, F_OK) == 0 && failure->error != ENODEV) return false;
  }
  return false;
}

void enter_step_cgroups(const struct step_spec *step, const struct step_cgroups *cgroups) {
  struct limit_failure failure;
  for (int i = cgroups->directory >= 0; i < cgroups->count; i++) {
    enum controller controller = 0;
    const char *hierarchy = cgroups->paths[i] + strlen("/sys/fs/cgroup/");
    while (strncmp(hierarchy, names[controller], strlen(names[controller])) || hierarchy[strlen(names[controller])] != '/') controller++;
    if (!enter_version_1(controller, cgroups->paths[i], &step->limits, &failure)) step_fail(failure.error, "%s", failure.operation);
  }
  // What it sees as the root of the hierarchies is its own.
  if (unshare(CLONE_NEWCGROUP) < 0) step_fail(errno, "limit the step: make a cgroup namespace");
}

// "oom_kill 2", on a line of its own.
static uint64_t read_oom_kills(const char *directory, const char *file) {
  char text[1024];
  if (!read_cgroup_file(directory, file, text, sizeof text)) return 0;
  for (const char *line = text; line; line = strchr(line, '\n')) {
    if (*line == '\n') line++;
    if (!strncmp(line, "oom_kill ", 9)) return strtoull(line + 9, NULL, 10);
  }
  return 0;
}

uint64_t count_oom_kills(const struct step_cgroups *cgroups) {
  uint64_t count = 0;
  for (int i = 0; i < cgroups->count; i++) count += read_oom_kills(cgroups->paths[i], "memory.events") + read_oom_kills(cgroups->paths[i], "memory.oom_control");
  return count;
}

uint64_t count_own_oom_kills(void) {
  struct hierarchy hierarchy;
  if (find_version_1("memory", &hierarchy)) return read_oom_kills(hierarchy.own, "memory.oom_control");
  return find_unified(&hierarchy) ? read_oom_kills(hierarchy.own, "memory.events") : 0;
}

void remove_step_cgroups(struct step_cgroups *cgroups) {
  if (cgroups->directory >= 0) close(cgroups->directory);
  cgroups->directory = -1;
  for (int i = 0; i < cgroups->count; i++) rmdir(cgroups->paths[i]);
  cgroups->count = 0;
}

void sweep_step_cgroups(void) {
  struct hierarchy hierarchy;
  for (enum controller controller = 0; controller < CONTROLLERS; controller++)
    if (find_version_1(names[controller], &hierarchy)) sweep_cgroups(hierarchy.own);
  // Of version 2 they may lie above.
  if (!find_unified(&hierarchy)) return;
  for (;;) {
    sweep_cgroups(hierarchy.own);
    if (!strcmp(hierarchy.own, hierarchy.mount)) return;
    *strrchr(hierarchy.own, '/') = 0;
  }
}
