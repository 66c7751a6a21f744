// What a step without mounts finds in its root: put there before it, taken away after it, with a journal, so that whoever
// comes after a kill can do the second half. Nothing of it is left in the layer.
#ifndef TS_OCI_MOVED_TREE_H
#define TS_OCI_MOVED_TREE_H

#include <limits.h>
#include <stdint.h>
#include <sys/types.h>

struct moved_tree {
  int root;      // the directory that is the step's root
  int directory; // ours, on the same file system: the journal, and what was in the way
  int journal;
  unsigned aside;
};

// The directory of a step in its executor's; made, and locked until the last process that has it open ends.
int make_moved_directory(const char *state, uint32_t id);
// The same when it is there, else -1: not locked.
int open_moved_directory(const char *state, uint32_t id, char path[PATH_MAX + 32]);
// Begins with a journal that names the root. Failures of these end the process (failure.h).
void begin_moved_tree(struct moved_tree *tree, int directory, const char *root);
// `path` is absolute and resolved inside the root: links are followed, parents that it lacks are made.
// Each gives a descriptor of what lies there now.
int put_directory(struct moved_tree *tree, const char *path, mode_t mode);
int put_file(struct moved_tree *tree, const char *path, const void *content, size_t length);
// The same, of the given owner and mode; a step that leaves it elsewhere, too, has failed.
int put_secret(struct moved_tree *tree, const char *path, const void *content, size_t length, mode_t mode, uid_t uid, gid_t gid);
// Moves what lies at `source` (a directory, a socket) into the root; it is moved back afterwards.
void put_moved(struct moved_tree *tree, const char *path, const char *source);
// A directory at the top of the root, where a link of the image would lead elsewhere: that is refused.
int put_top_directory(struct moved_tree *tree, const char *name, mode_t mode);
// Notes how directories look now that all is in place: those that the step leaves so get their times back.
void settle_moved_tree(struct moved_tree *tree);

#endif
