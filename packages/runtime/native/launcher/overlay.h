#ifndef TS_OCI_OVERLAY_H
#define TS_OCI_OVERLAY_H

#include "config.h"
#include "string-list.h"

// Mounts an overlay (lowers top first; `upper` and `work` NULL: read-only) on the directory `at` and returns a descriptor of its
// root; fails the step on errors. Changes the current directory.
int mount_overlay(const struct executor_config *config, const struct strings *lowers, const char *upper, const char *work, const char *at);

#endif
