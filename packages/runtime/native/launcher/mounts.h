// The step's own mounts; each call fails the step on errors.
#ifndef TS_OCI_MOUNTS_H
#define TS_OCI_MOUNTS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "config.h"
#include "spec.h"
#include "stubs.h"

struct plan {
  struct target target;
  int tree;                       // detached mount; -1: nothing is mounted, or a tmpfs that is made when it is attached
  const struct mount_spec *tmpfs; // its mode depends on the target
};
// Opens the source, before the root exists: what it is decides the mount point.
void prepare_mount(const struct executor_config *config, const struct mount_spec *mount, struct plan *plan);
// Makes a file; returns its descriptor.
int write_file(int directory, const char *name, const uint8_t *content, size_t length, mode_t mode, uid_t uid, gid_t gid);
// Looks the target up in the root, makes it where it is missing, and mounts there.
void attach(const struct executor_config *config, int root, const struct plan *plan);

#endif
