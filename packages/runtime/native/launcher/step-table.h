// The steps that run, by the numbers of their requests.
#ifndef TS_OCI_STEP_TABLE_H
#define TS_OCI_STEP_TABLE_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "config.h"
#include "protocol.h"

// Frames for the parent are appended to `output`.
void prepare_steps(struct executor_config *config, struct buffer *output);

// Requests: each is answered by frames.
void begin_step(uint32_t id, const uint8_t *payload, size_t length);
void feed_step(uint32_t type, uint32_t id, const uint8_t *payload, size_t length);
void signal_step(uint32_t id, const uint8_t *payload, size_t length);

// Whether a child that was reaped was a step's.
bool step_ended(pid_t pid, int status);

// How many descriptors of steps there are to poll; which, those that give output only where there is `room`; what was found.
size_t polled_by_steps(void);
void poll_steps(struct pollfd *polled, bool room);
void serve_steps(const struct pollfd *polled);

// The keepers of steps without namespaces see their end.
void release_keepers(void);

#endif
