// Deflate (RFC 1951) of one block of a larger stream.
#ifndef TS_OCI_DEFLATE_H
#define TS_OCI_DEFLATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Matches reach this far back.
#define DEFLATE_WINDOW 32768

// Room that `deflate_block` never exceeds.
size_t deflate_bound(size_t length);

// Compresses `length` bytes at `data`; the `window` bytes in front of them are the end of what the reader has by then.
// What comes out begins and ends at a byte: of the last block with the stream's end, else with an empty stored block.
// Depends on nothing but its arguments. Answers the size, or -errno.
int64_t deflate_block(const uint8_t *data, size_t length, size_t window, bool is_last, uint8_t *output, size_t room);

#endif
