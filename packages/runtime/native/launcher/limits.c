#define _GNU_SOURCE
#include "limits.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../common/kernel.h"
#include "cgroup.h"
#include "devices.h"
#include "failure.h"
#include "limit-place.h"

// Others may sweep a directory of ours before its first process is in.
#define ATTEMPTS 64

// The devices of a step that a filter has to let open.
static size_t collect_rules(const struct step_spec *step, struct device_rule *rules) {
  size_t count = 0;
  for (size_t i = 0; i < step->mount_count; i++) {
    const struct mount_spec *mount = &step->mounts[i];
    if (mount->kind != MOUNT_DEVICE || S_ISFIFO(mount->mode) || !mount->access) continue;
    if (rules) rules[count] = (struct device_rule){S_ISBLK(mount->mode), mount->major_number, mount->minor_number, mount->access};
    count++;
  }
  return count;
}

static bool needs_own_filter(const struct executor_config *config, const struct step_spec *step) {
  return config->filters_devices && !(step->flags & STEP_INSECURE) && collect_rules(step, NULL) > 0;
}

bool has_own_cgroups(const struct executor_config *config, const struct step_spec *step) { return step->limits.any || needs_own_filter(config, step); }

static bool filter_own(const struct step_spec *step, int directory, bool unified) {
  struct device_rule *rules = calloc(step->mount_count + 1, sizeof *rules);
  bool filtered = rules && (unified ? filter_devices : allow_devices)(directory, rules, collect_rules(step, rules));
  free(rules);
  return filtered;
}

// Beside the cgroup in which all steps are filtered: what that one forbids nothing below it allows.
static bool find_filter_place(struct hierarchy *hierarchy, bool unified) {
  if (!(unified ? find_unified(hierarchy) : find_version_1("devices", hierarchy))) return false;
  char *name = strrchr(hierarchy->own, '/');
  if (name && !strncmp(name + 1, CGROUP_DEVICES, strlen(CGROUP_DEVICES))) *name = 0;
  return true;
}

static bool add_path(struct step_cgroups *cgroups, const char *place) { return name_cgroup(cgroups->paths[cgroups->count], place, CGROUP_STEP) && ++cgroups->count; }

static bool make_unified(const struct executor_config *config, const struct step_spec *step, const bool *unified, struct step_cgroups *cgroups, struct limit_failure *failure) {
  char place[PATH_MAX];
  struct limit_failure ignored;
  const char *what = first_wanted_controller(&step->limits, unified);
  struct hierarchy hierarchy;
  // Without a controller that is to be had below it any cgroup takes one more, whatever is in it.
  bool only_filters = !step->limits.parent && !strcmp(what, "parent");
  if (only_filters) what = "devices";
  if (!only_filters && !find_limit_place(&step->limits, unified, place, failure)) return false;
  if (only_filters && !find_filter_place(&hierarchy, true)) return fail_limit(failure, ENOENT, "limit devices: find the cgroup that filters them");
  if (only_filters) strcpy(place, hierarchy.own);
  if (!add_path(cgroups, place)) return fail_limit(failure, ENAMETOOLONG, "limit %s: name a cgroup", what);
  const char *path = cgroups->paths[0];
  if (mkdir(path, 0755) < 0) {
    cgroups->count = 0;
    return fail_limit(failure, errno, "limit %s: make a cgroup in %s", what, place + strlen("/sys/fs/cgroup"));
  }
  if (!set_unified_limits(path, &step->limits, failure)) return false;
  // As for all steps; where there is no such controller something above limits.
  set_process_limit(path, &ignored);
  cgroups->directory = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (cgroups->directory < 0) return fail_limit(failure, errno, "limit %s: open the cgroup", what);
  // It leaves the cgroup of the executor, whose filter says which devices open.
  if (config->filters_devices && config->unified_devices && !(step->flags & STEP_INSECURE) && !filter_own(step, cgroups->directory, true))
    return fail_limit(failure, errno, "limit %s: filter devices in the cgroup", what);
  return true;
}

static bool add_version_1(const struct limit_spec *limits, enum controller controller, struct step_cgroups *cgroups, struct limit_failure *failure) {
  struct hierarchy hierarchy;
  char place[PATH_MAX];
  if (!find_version_1(controller_names[controller], &hierarchy)) return fail_limit(failure, ENOENT, "limit %s: find a cgroup that has it", controller_names[controller]);
  if (!limits->parent) strcpy(place, hierarchy.own);
  else if (snprintf(place, PATH_MAX, "%s%s", hierarchy.mount, limits->parent) >= PATH_MAX || access(place, F_OK) < 0)
    return fail_limit(failure, errno, "limit %s: find the cgroup %s", controller_names[controller], limits->parent);
  return add_path(cgroups, place) || fail_limit(failure, ENAMETOOLONG, "limit %s: name a cgroup", controller_names[controller]);
}

bool make_step_cgroups(const struct executor_config *config, const struct step_spec *step, struct step_cgroups *cgroups, struct limit_failure *failure) {
  bool unified[CONTROLLERS] = {false}, any_unified = false, has_version_1 = false;
  struct hierarchy hierarchy;
  cgroups->directory = -1;
  cgroups->count = 0;
  for (enum controller controller = 0; controller < CONTROLLERS; controller++) {
    bool is_version_1 = find_version_1(controller_names[controller], &hierarchy);
    has_version_1 |= is_version_1;
    unified[controller] = !is_version_1;
    any_unified |= !is_version_1 && is_limit_wanted(&step->limits, controller);
  }
  // A place of its own choice holds the step in every hierarchy that counts something.
  bool filtered = needs_own_filter(config, step);
  any_unified |= step->limits.parent && !has_version_1;
  any_unified |= filtered && config->unified_devices;
  if (any_unified && !make_unified(config, step, unified, cgroups, failure)) return false;
  if (filtered && !config->unified_devices && !(find_filter_place(&hierarchy, false) && add_path(cgroups, hierarchy.own)))
    return fail_limit(failure, ENOENT, "limit devices: find the cgroup that filters them");
  for (enum controller controller = 0; controller < CONTROLLERS; controller++) {
    if (unified[controller] || !(is_limit_wanted(&step->limits, controller) || step->limits.parent)) continue;
    if (!add_version_1(&step->limits, controller, cgroups, failure)) return false;
  }
  return true;
}

static bool enter_version_1(enum controller controller, const char *path, const struct limit_spec *limits, struct limit_failure *failure) {
  char parent[PATH_MAX];
  snprintf(parent, sizeof parent, "%.*s", (int)(strrchr(path, '/') - path), path);
  for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
    if (mkdir(path, 0755) < 0 && errno != EEXIST) return fail_limit(failure, errno, "limit %s: make a cgroup in %s", controller_names[controller], parent + strlen("/sys/fs/cgroup"));
    if (set_version_1_limits(controller, path, parent, limits, failure)) {
      if (write_cgroup_file(path, "cgroup.procs", "0")) return true;
      fail_limit(failure, errno, "limit %s: enter the cgroup", controller_names[controller]);
    }
    if (access(path, F_OK) == 0 && failure->error != ENODEV) return false;
  }
  return false;
}

#define VERSION_1_DEVICES "/sys/fs/cgroup/devices/"

// Others may sweep it until this process is in.
static void enter_own_filter(const struct step_spec *step, const char *path) {
  for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
    mkdir(path, 0755);
    int directory = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    bool entered = directory >= 0 && filter_own(step, directory, false) && write_cgroup_file(path, "cgroup.procs", "0");
    int error = errno;
    if (directory >= 0) close(directory);
    if (entered) return;
    if (access(path, F_OK) == 0 && error != ENODEV) step_fail(error, "limit devices: filter them in the cgroup");
  }
  step_fail(ENOENT, "limit devices: make a cgroup");
}

void enter_step_cgroups(const struct step_spec *step, const struct step_cgroups *cgroups) {
  struct limit_failure failure;
  for (int i = cgroups->directory >= 0; i < cgroups->count; i++) {
    if (!strncmp(cgroups->paths[i], VERSION_1_DEVICES, strlen(VERSION_1_DEVICES))) {
      enter_own_filter(step, cgroups->paths[i]);
      continue;
    }
    enum controller controller = 0;
    const char *hierarchy = cgroups->paths[i] + strlen("/sys/fs/cgroup/");
    while (strncmp(hierarchy, controller_names[controller], strlen(controller_names[controller])) || hierarchy[strlen(controller_names[controller])] != '/') controller++;
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
    if (find_version_1(controller_names[controller], &hierarchy)) sweep_cgroups(hierarchy.own);
  // Of version 2 they may lie above.
  if (!find_unified(&hierarchy)) return;
  for (;;) {
    sweep_cgroups(hierarchy.own);
    if (!strcmp(hierarchy.own, hierarchy.mount)) return;
    *strrchr(hierarchy.own, '/') = 0;
  }
}
