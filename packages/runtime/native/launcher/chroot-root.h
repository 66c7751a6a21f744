// The root of a step that mounts nothing: devices, files of /etc and the step's own mounts, as real files of its tree.
#ifndef TS_OCI_CHROOT_ROOT_H
#define TS_OCI_CHROOT_ROOT_H

#include "moved-tree.h"
#include "spec.h"

// Failures end the process (failure.h).
void fill_chroot_root(struct moved_tree *tree, const struct step_spec *step);

#endif
