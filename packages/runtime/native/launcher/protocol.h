// Frames on the control socket, both ways: length, type and id (u32 each, little endian), then `length` bytes.
// A request's payload is a row of fields: tag and length (u32), then the bytes. Strings carry their final NUL.
// The other side is src/executor/protocol.ts.
#ifndef TS_OCI_PROTOCOL_H
#define TS_OCI_PROTOCOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PROTOCOL_VERSION 1
#define FRAME_HEADER 12
#define FRAME_LIMIT (64u << 20)

enum frame_type {
  FRAME_RUN_STEP = 1,
  FRAME_SIGNAL = 2,
  FRAME_START_JOBS = 3,
  FRAME_REMOVE_TREES = 4,
  FRAME_WRITE_TREE = 5,
  FRAME_PREPARE_NETWORK = 6, // where the program pasta is, or nothing
  FRAME_INPUT = 7,
  FRAME_RESIZE = 8,

  FRAME_READY = 16,
  FRAME_FAILED = 17,
  FRAME_STDOUT = 18,
  FRAME_STDERR = 19,
  FRAME_EXIT = 20,
  FRAME_REMOVED = 21,
  FRAME_JOBS_ENDED = 22,
  FRAME_TREE_WRITTEN = 23,
  FRAME_NETWORK = 24, // enum default_network (u32), address of a name server (u32), then the reason where it is the host's
  FRAME_INPUT_TAKEN = 25,
};

enum field_tag {
  FIELD_LOWER = 1,
  FIELD_UPPER = 2,
  FIELD_WORK = 3,
  FIELD_ARG = 4,
  FIELD_ENV = 5,
  FIELD_CWD = 6,
  FIELD_UID = 7,
  FIELD_GID = 8,
  FIELD_ADDITIONAL_GID = 9,
  FIELD_HOSTNAME = 10,
  FIELD_HOSTS = 11,
  FIELD_RESOLV_CONF = 12,
  FIELD_FLAGS = 13,
  FIELD_RLIMIT = 14,
  FIELD_SHM_SIZE = 15,
  FIELD_PATH = 16,
  FIELD_READABLE = 17,
  FIELD_MOUNT_BASE = 18,
  FIELD_ROOT_DIRECTORY = 19,
  FIELD_LIMIT = 20,
  FIELD_LIMIT_CPUS = 21,
  FIELD_LIMIT_MEMS = 22,
  FIELD_CGROUP_PARENT = 23,
  FIELD_OWN_IDS = 24,

  FIELD_MOUNT = 32,
  FIELD_MOUNT_TARGET = 33,
  FIELD_MOUNT_SOURCE = 34,
  FIELD_MOUNT_SUBPATH = 35,
  FIELD_MOUNT_LOWER = 36,
  FIELD_MOUNT_SCRATCH = 37,
  FIELD_MOUNT_SIZE = 38,
  FIELD_MOUNT_MODE = 39,
  FIELD_MOUNT_CONTENT = 40,
  FIELD_MOUNT_UID = 41,
  FIELD_MOUNT_GID = 42,
  FIELD_MOUNT_DEVICE = 43,
};

// Set in the wait status of an EXIT frame: a process of the step was killed because memory was out.
#define EXIT_OOM_KILLED 0x80000000u

struct buffer {
  uint8_t *bytes;
  size_t start, end, capacity;
};

struct cursor {
  const uint8_t *at, *end;
};

struct field {
  uint32_t tag, length;
  const uint8_t *bytes;
};

// Room for `more` bytes at the end; moves what is held to the front first. Ends the process when memory is out.
void buffer_reserve(struct buffer *buffer, size_t more);
void buffer_append(struct buffer *buffer, const void *bytes, size_t length);
void buffer_append_frame(struct buffer *buffer, uint32_t type, uint32_t id, const void *payload, size_t length);

uint32_t read_u32(const uint8_t *bytes);
uint64_t read_u64(const uint8_t *bytes);

// 1: a field was read; 0: the end; -1: malformed.
int next_field(struct cursor *cursor, struct field *field);
// The field's string, or NULL when it is not one string with its final NUL.
const char *field_string(const struct field *field);

// Writes a FAILED frame (errno, operation) to a socket that is still blocking; used before the executor serves.
void send_failure(int socket, const char *operation, int error);

#endif
