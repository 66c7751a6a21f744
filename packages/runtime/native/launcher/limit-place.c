#define _GNU_SOURCE
#include "limit-place.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cgroup.h"

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
    if (!unified[controller] || !is_limit_wanted(limits, controller) || has_word(enabled, controller_names[controller])) continue;
    if (!has_word(available, controller_names[controller])) return ENOENT;
    char word[16];
    snprintf(word, sizeof word, "+%s", controller_names[controller]);
    if (!write_cgroup_file(directory, "cgroup.subtree_control", word)) return errno;
  }
  return 0;
}

const char *first_wanted_controller(const struct limit_spec *limits, const bool *unified) {
  for (enum controller controller = 0; controller < CONTROLLERS; controller++)
    if (unified[controller] && is_limit_wanted(limits, controller)) return controller_names[controller];
  return "parent";
}

// Upward from where we are, never past a cgroup that limits us: a limit does not lift another.
bool find_limit_place(const struct limit_spec *limits, const bool *unified, char *place, struct limit_failure *failure) {
  struct hierarchy hierarchy;
  const char *what = first_wanted_controller(limits, unified);
  if (!find_unified(&hierarchy)) return fail_limit(failure, ENOENT, "limit %s: find a cgroup that has it", what);
  if (limits->parent) {
    if (snprintf(place, PATH_MAX, "%s%s", hierarchy.mount, limits->parent) >= PATH_MAX) return fail_limit(failure, ENAMETOOLONG, "limit %s: cgroup %s", what, limits->parent);
    int error = access(place, F_OK) < 0 ? errno : enable_in(place, limits, unified);
    return error == 0 || fail_limit(failure, error, "limit %s: %s the cgroup %s", what, access(place, F_OK) < 0 ? "find" : "have it below", limits->parent);
  }
  int first = 0;
  for (strcpy(place, hierarchy.own);;) {
    int error = enable_in(place, limits, unified);
    if (error == 0) return true;
    if (first == 0) first = error;
    const char *shown = strlen(place) > strlen(hierarchy.mount) ? place + strlen(hierarchy.mount) : "/";
    if (!strcmp(place, hierarchy.mount)) return fail_limit(failure, first == EBUSY && error != ENOENT ? error : first, "limit %s: have it below the cgroup %s", what, shown);
    if (limits_something(place)) return fail_limit(failure, EBUSY, "limit %s: leave the cgroup %s, which has limits of its own", what, shown);
    *strrchr(place, '/') = 0;
  }
}
