// The records of a stream that becomes a tree: type and length (u32 each, little endian), then `length` bytes. Strings carry
// their final NUL; paths are clean and relative to the tree.
#ifndef TS_OCI_TREE_RECORDS_H
#define TS_OCI_TREE_RECORDS_H

#include <stdint.h>

#include "protocol.h"

#define RECORD_HEADER 8
// What a layer's own headers may hold is bounded by the reader to less.
#define RECORD_LIMIT (16u << 20)

enum record_type {
  RECORD_DIRECTORY = 1, // path
  RECORD_FILE = 2,      // attributes, path, xattrs: content and FILE_END follow
  RECORD_DATA = 3,      // bytes
  RECORD_HOLE = 4,      // length (u64)
  RECORD_FILE_END = 5,
  RECORD_ATTRIBUTES = 6, // attributes, path, xattrs
  RECORD_SYMLINK = 7,    // path, target
  RECORD_LINK = 8,       // path, old path
  RECORD_NODE = 9,       // major, minor (u32 each), attributes (the mode with its type), path, xattrs
  RECORD_REMOVE = 10,    // path
  RECORD_END = 11,
};

// STRICT: a node or an extended attribute that this machine refuses is a failure.
enum attribute_flag { HAS_OWNER = 1, HAS_MODE = 2, HAS_TIME = 4, STRICT = 8 };

struct attributes {
  uint32_t flags, uid, gid, mode, nanoseconds, xattr_count;
  int64_t seconds;
  const char *path;
  struct cursor xattrs; // each: name, length (u32), bytes
};

struct xattr {
  const char *name;
  const void *value;
  uint32_t length;
};

// Each takes what it names from the front; false when it is not there.
bool take_u32(struct cursor *cursor, uint32_t *value);
bool take_u64(struct cursor *cursor, uint64_t *value);
bool take_string(struct cursor *cursor, const char **text);
bool take_attributes(struct cursor *cursor, struct attributes *attributes);
bool take_xattr(struct cursor *cursor, struct xattr *xattr);

#endif
