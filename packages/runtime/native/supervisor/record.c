#define _GNU_SOURCE
#include "record.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#define CAPABILITY_REVISION_MASK 0xff000000u
#define CAPABILITY_REVISION_2 0x02000000u
#define CAPABILITY_REVISION_3 0x03000000u
// Where a capability set has its upper halves; no kernel has that many capabilities.
#define MARK_PERMITTED 0x636f2d74u
#define MARK_INHERITABLE 0x72656e77u

struct special_record {
  uint32_t revision, uid, gid, mark_permitted, mark_inheritable, root;
};

static ssize_t get(const char *path, bool follow, const char *name, void *into, size_t size) {
  return follow ? getxattr(path, name, into, size) : lgetxattr(path, name, into, size);
}

// Most names have no attribute at all, which one look tells: each look resolves the path again.
static bool may_have_record(const char *path, bool follow) {
  char names[512];
  ssize_t length = follow ? listxattr(path, names, sizeof names) : llistxattr(path, names, sizeof names);
  if (length < 0) return errno == ERANGE;
  for (ssize_t at = 0; at < length; at += (ssize_t)strnlen(names + at, (size_t)(length - at)) + 1)
    if (!strcmp(names + at, RECORD_NAME) || !strcmp(names + at, SPECIAL_RECORD_NAME)) return true;
  return false;
}

bool read_record(const char *path, bool follow, struct record *record) {
  *record = (struct record){0};
  if (!may_have_record(path, follow)) return false;
  ssize_t length = get(path, follow, RECORD_NAME, record, sizeof *record);
  if (length == 8 || length == sizeof *record) {
    if (record->type != S_IFCHR && record->type != S_IFBLK) record->type = 0;
    return true;
  }
  if (length >= 0 || errno != ENODATA) return false;
  struct special_record special = {0};
  length = get(path, follow, SPECIAL_RECORD_NAME, &special, sizeof special);
  uint32_t revision = special.revision & CAPABILITY_REVISION_MASK;
  if (length < 20 || (revision != CAPABILITY_REVISION_2 && revision != CAPABILITY_REVISION_3)) return false;
  if (special.mark_permitted != MARK_PERMITTED || special.mark_inheritable != MARK_INHERITABLE) return false;
  *record = (struct record){.uid = special.uid, .gid = special.gid};
  return true;
}

static int set(const char *path, bool follow, const char *name, const void *value, size_t size) {
  int result = follow ? setxattr(path, name, value, size, 0) : lsetxattr(path, name, value, size, 0);
  return result < 0 ? -errno : 0;
}

static int drop(const char *path, bool follow, const char *name) {
  int result = follow ? removexattr(path, name) : lremovexattr(path, name);
  return result < 0 && errno != ENODATA ? -errno : 0;
}

int write_record(const char *path, bool follow, mode_t mode, const struct record *record) {
  bool is_plain = S_ISREG(mode) || S_ISDIR(mode), is_root = record->uid == 0 && record->gid == 0 && record->type == 0;
  if (is_root) return drop(path, follow, is_plain ? RECORD_NAME : SPECIAL_RECORD_NAME);
  if (is_plain) return set(path, follow, RECORD_NAME, record, record->type ? sizeof *record : 8);
  struct special_record special = {CAPABILITY_REVISION_2, record->uid, record->gid, MARK_PERMITTED, MARK_INHERITABLE, 0};
  return set(path, follow, SPECIAL_RECORD_NAME, &special, 20);
}

int write_record_of(int fd, const struct record *record) {
  char path[32];
  struct stat status;
  if (fstat(fd, &status) < 0) return -errno;
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  return write_record(path, true, status.st_mode, record);
}

bool is_record_name(const char *name) { return !strcmp(name, RECORD_NAME); }

int give_to(int fd, uid_t uid, gid_t gid) {
  if (fchownat(fd, "", uid, gid, AT_EMPTY_PATH) == 0) return 0;
  if (errno != EINVAL) return -1;
  int error = write_record_of(fd, &(struct record){.uid = uid, .gid = gid});
  // A tmpfs has no `user.*` before Linux 6.6. What lies on one is in no layer.
  return error < 0 && error != -ENOTSUP ? (errno = -error, -1) : 0;
}

void copy_record(int from_directory, const char *from, int to) {
  char path[32];
  struct record record;
  int fd = openat(from_directory, from, O_PATH | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0) return;
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  if (read_record(path, true, &record)) write_record_of(to, &record);
  close(fd);
}
