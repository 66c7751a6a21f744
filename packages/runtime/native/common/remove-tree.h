#ifndef TS_OCI_REMOVE_TREE_H
#define TS_OCI_REMOVE_TREE_H

#include <limits.h>
#include <stddef.h>

// Where a removal stopped: a path that begins with the name that was to be removed; cut at PATH_MAX.
struct removal_stop {
  char path[PATH_MAX];
  size_t length;
};

// Removes `name` in a directory and everything below it: follows no link, crosses no mount (EBUSY), opens up directories of
// ours whose mode forbids it, takes trees of any depth. 0 also when it is not there; -1 with errno and `stop` (may be NULL).
int remove_tree_at(int directory, const char *name, struct removal_stop *stop);
// The same of an absolute path.
int remove_tree(const char *path);

#endif
