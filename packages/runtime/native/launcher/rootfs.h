#ifndef TS_OCI_ROOTFS_H
#define TS_OCI_ROOTFS_H

#include <stdint.h>

#include "config.h"
#include "spec.h"

// Mounts root, /proc, /dev, /sys, /etc files and the step's mounts; returns a descriptor of the root.
int build_rootfs(struct executor_config *config, const struct step_spec *step, uint32_t id);

#endif
