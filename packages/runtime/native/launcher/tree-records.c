#include "tree-records.h"

#include <string.h>

static size_t left(const struct cursor *cursor) { return (size_t)(cursor->end - cursor->at); }

bool take_u32(struct cursor *cursor, uint32_t *value) {
  if (left(cursor) < 4) return false;
  *value = read_u32(cursor->at);
  cursor->at += 4;
  return true;
}

bool take_u64(struct cursor *cursor, uint64_t *value) {
  if (left(cursor) < 8) return false;
  *value = read_u64(cursor->at);
  cursor->at += 8;
  return true;
}

bool take_string(struct cursor *cursor, const char **text) {
  const uint8_t *end = memchr(cursor->at, 0, left(cursor));
  if (!end) return false;
  *text = (const char *)cursor->at;
  cursor->at = end + 1;
  return true;
}

bool take_attributes(struct cursor *cursor, struct attributes *attributes) {
  uint64_t seconds;
  if (!take_u32(cursor, &attributes->flags) || !take_u32(cursor, &attributes->uid) || !take_u32(cursor, &attributes->gid) || !take_u32(cursor, &attributes->mode) || !take_u64(cursor, &seconds) || !take_u32(cursor, &attributes->nanoseconds) || !take_u32(cursor, &attributes->xattr_count) || !take_string(cursor, &attributes->path)) return false;
  attributes->seconds = (int64_t)seconds;
  attributes->xattrs = *cursor;
  return true;
}

bool take_xattr(struct cursor *cursor, struct xattr *xattr) {
  if (!take_string(cursor, &xattr->name) || !take_u32(cursor, &xattr->length) || left(cursor) < xattr->length) return false;
  xattr->value = cursor->at;
  cursor->at += xattr->length;
  return true;
}
