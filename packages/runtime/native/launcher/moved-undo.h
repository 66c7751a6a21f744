// The second half of a step without mounts (moved-tree.h): what lies in its root is taken back, by the journal.
#ifndef TS_OCI_MOVED_UNDO_H
#define TS_OCI_MOVED_UNDO_H

#include <limits.h>
#include <stdbool.h>

// For a directory of make_moved_directory whose step has ended. False with errno and `what` when something could not be put
// back; what could is.
bool undo_moved_tree(int directory, char what[PATH_MAX]);
// The same for every step of an executor that has ended; waits for what still ends of them.
void undo_moved_trees(const char *state);

#endif
