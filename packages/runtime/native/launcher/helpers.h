// Children of the executor that are no steps: the process for file jobs, removals, writers of trees, the sweep of what others left.
#ifndef TS_OCI_HELPERS_H
#define TS_OCI_HELPERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "config.h"
#include "protocol.h"

void prepare_helpers(const struct executor_config *config, int jobs_socket);
// Starts the one process for file jobs (fields ARG and ENV), which finds its socket as descriptor 3.
void start_jobs(uint32_t id, const uint8_t *payload, size_t length, struct buffer *output);
// Removes trees (fields PATH) in a child; answers with a REMOVED frame: errno, then the path.
void start_removal(uint32_t id, const uint8_t *payload, size_t length, struct buffer *output);
// Starts a process that writes a tree into a directory (field PATH) from the records that come by the FIFO in it
// (write-tree.h); answers with a TREE_WRITTEN frame: errno, the operation with its final NUL, the path.
void start_tree_writer(uint32_t id, const uint8_t *payload, size_t length, struct buffer *output);
// True when `pid` was one of these; sends what has to be said about its end.
bool helper_ended(pid_t pid, int status, struct buffer *output);
// Removes directories of executors that did not end in order; they hold their directory locked while they live.
void sweep_leftovers(const struct executor_config *config);
// The same for a directory of executors, but for one of them.
void sweep_executors(const char *parent, const char *but);
// Takes back what the keeper of a step left in the step's root, when it ended before; -1 when there is nothing of it.
pid_t start_undoing(const struct executor_config *config, uint32_t id);
void remove_stubs(const struct executor_config *config, uint32_t id);
// A descriptor that keeps others from taking mount points away while a step has the directory as its root; -EBUSY: a process of
// isolation chroot has it; -1: it cannot be held.
int hold_plain_directory(const char *directory);
// Takes away the mount points that a step found missing in the plain directory that was its root, unless others have it; lets go of it.
void clear_plain_directory(const struct executor_config *config, uint32_t id, const char *directory, int held);
// Removes what overlay leaves in a work directory: a directory of mode 000 that an ordinary user could not enter.
void empty_work_directory(const char *work);
// Ends every process below, removes this executor's directory, ends.
_Noreturn void end_executor(const struct executor_config *config);

#endif
