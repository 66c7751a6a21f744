#ifndef TS_OCI_REMOVE_TREE_H
#define TS_OCI_REMOVE_TREE_H

// Removes `path` and everything below it; follows no link. 0 also when it is not there; -1 with errno.
int remove_tree(const char *path);

#endif
