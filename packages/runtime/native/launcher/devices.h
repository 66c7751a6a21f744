// The device filter of an executor: a cgroup in which Docker's devices open and no other.
#ifndef TS_OCI_DEVICES_H
#define TS_OCI_DEVICES_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stddef.h>
#include <sys/types.h>

// What a step may open besides.
struct device_rule {
  bool block;
  uint32_t major_number, minor_number, access; // enum device_access
};

struct device_cgroup {
  char path[PATH_MAX]; // ours; empty when there is none
  int directory;       // to clone into (cgroup v2), or -1
  int own_procs;       // where processes enter it (v1), or -1
  int outer_procs;     // where a process leaves it for where the launcher is, or -1
};

// Sweeps what killed launchers left, then makes a cgroup of our own, of version 2 (`unified`) or 1. False where none can
// be made.
bool make_device_cgroup(struct device_cgroup *cgroup, bool unified);
// Removes it (its processes must have ended) and sweeps.
void remove_device_cgroup(struct device_cgroup *cgroup);
// Gives a directory of version 2 the filter, which lets these open as well.
bool filter_devices(int directory, const struct device_rule *rules, size_t count);
// The same of version 1.
bool allow_devices(int directory, const struct device_rule *rules, size_t count);
void close_device_cgroup(struct device_cgroup *cgroup);

#endif
