// A process that writes one tree from a stream of records, which a reader elsewhere made of an archive. It parses nothing
// that others wrote. The other side is src/executor/tree-stream.ts.
#ifndef TS_OCI_WRITE_TREE_H
#define TS_OCI_WRITE_TREE_H

#include "config.h"

// In the directory that the caller names: the FIFO with the records, and the tree, which is made.
#define TREE_FEED "feed"
#define TREE_NAME "tree"

// The child's whole life: confines itself to `directory`, makes the tree, ends with 0. A failure is one message on
// `report`: errno (u32), the operation with its final NUL, the path.
_Noreturn void run_tree_writer(const struct executor_config *config, const char *directory, int report);

#endif
