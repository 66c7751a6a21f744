// Paths that come from an image or a Dockerfile, followed inside a root.
#ifndef TS_OCI_RESOLVE_H
#define TS_OCI_RESOLVE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct resolved {
  int fd;                // the deepest object that exists, O_PATH
  char path[PATH_MAX];   // where it lies once links are followed: no leading slash; the missing part included
  size_t existing;       // length of the part of `path` that exists
  bool missing;
  bool magic;            // why it failed: a link of /proc that is no text
};
// Follows `path` inside `root`; no link leads out. 0, or -1 with errno.
int resolve_in_root(int root, const char *path, struct resolved *resolved);
struct new_place {
  bool file;    // the last part
  mode_t mode;  // of the last part when it is a directory; 0: 0755
  uid_t uid;    // of every part
  gid_t gid;
};
// Makes what is missing, directories with mode 0755; returns O_PATH of the last.
int create_missing(const struct resolved *resolved, const struct new_place *place);

#endif
