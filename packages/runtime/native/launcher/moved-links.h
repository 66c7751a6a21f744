// A step without mounts can link a file of a cache into its root, or one of its root into the cache: elsewhere these are two file
// systems. Before a cache goes back to its place it gets files of its own for those.
#ifndef TS_OCI_MOVED_LINKS_H
#define TS_OCI_MOVED_LINKS_H

#include <stdbool.h>

// For `name` in the directory `parent`, which nobody else writes: each file in it that has links elsewhere becomes a copy, in all
// its places. `spare`: a directory of ours on the same file system. False with errno when that could not be done for all.
bool part_from_links(int parent, const char *name, int spare);

#endif
