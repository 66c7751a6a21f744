#define _GNU_SOURCE
#include "limit-values.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cgroup.h"

const char *const controller_names[CONTROLLERS] = {"memory", "cpu", "cpuset", "pids"};

bool is_limit_wanted(const struct limit_spec *limits, enum controller controller) {
  switch (controller) {
  case MEMORY: return limits->memory || limits->memory_swap;
  case CPU: return limits->cpu_shares || limits->cpu_quota || limits->cpu_period;
  case CPUSET: return limits->cpus || limits->mems;
  default: return false;
  }
}

bool fail_limit(struct limit_failure *failure, int error, const char *format, ...) {
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
  return fail_limit(failure, length < (int)sizeof text ? errno : E2BIG, "limit %.*s: write %.60s to %s", (int)strcspn(file, "."), file, text, file);
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
  if (!asked && !read_cgroup_file(parent, file, above, sizeof above)) return fail_limit(failure, errno, "limit cpuset: read %s", file);
  return set(directory, file, failure, "%s", asked ? asked : above);
}

static bool set_cpuset(const char *directory, const char *parent, const struct limit_spec *limits, struct limit_failure *failure) {
  return set_cpuset_file(directory, parent, "cpuset.cpus", limits->cpus, failure) && set_cpuset_file(directory, parent, "cpuset.mems", limits->mems, failure);
}

bool set_process_limit(const char *directory, struct limit_failure *failure) { return set(directory, "pids.max", failure, "%u", default_process_limit()); }

bool set_version_1_limits(enum controller controller, const char *directory, const char *parent, const struct limit_spec *limits, struct limit_failure *failure) {
  switch (controller) {
  case MEMORY: return set_memory(directory, limits, failure);
  case CPU: return set_cpu(directory, limits, failure);
  case CPUSET: return set_cpuset(directory, parent, limits, failure);
  default: return set_process_limit(directory, failure);
  }
}

static bool set_swap(const char *directory, const struct limit_spec *limits, struct limit_failure *failure) {
  if (!limits->memory_swap) return true;
  if (limits->memory_swap > 0) return set(directory, "memory.swap.max", failure, "%lld", (long long)(limits->memory_swap - limits->memory));
  // Where swap is not counted nothing limits it.
  return set(directory, "memory.swap.max", failure, "max") || failure->error == ENOENT;
}

bool set_unified_limits(const char *directory, const struct limit_spec *limits, struct limit_failure *failure) {
  if (limits->memory && !set(directory, "memory.max", failure, "%lld", (long long)limits->memory)) return false;
  if (!set_swap(directory, limits, failure)) return false;
  if (limits->cpu_weight && !set(directory, "cpu.weight", failure, "%lld", (long long)limits->cpu_weight)) return false;
  if (limits->cpu_quota || limits->cpu_period) {
    long long period = limits->cpu_period ? limits->cpu_period : 100000;
    if (limits->cpu_quota > 0 ? !set(directory, "cpu.max", failure, "%lld %lld", (long long)limits->cpu_quota, period) : !set(directory, "cpu.max", failure, "max %lld", period)) return false;
  }
  return (!limits->cpus || set(directory, "cpuset.cpus", failure, "%s", limits->cpus)) && (!limits->mems || set(directory, "cpuset.mems", failure, "%s", limits->mems));
}
