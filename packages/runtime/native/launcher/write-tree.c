#define _GNU_SOURCE
#include "write-tree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "../common/chmod-at.h"
#include "../common/kernel.h"
#include "../common/remove-tree.h"
#include "confine.h"
#include "tree-records.h"

#define READ_BYTES (1u << 18)
#define KEPT_DIRECTORIES 32

struct kept_directory {
  char *path;
  int fd;
  uint64_t used;
};

static struct buffer input;
static int report_to, feed, root;
static struct kept_directory kept[KEPT_DIRECTORIES];
static uint64_t uses;
// The file whose content comes: its descriptor, a copy of its record, its attributes in that.
static int file = -1;
static uint8_t *file_record;
static struct attributes file_attributes;
static bool ends_in_hole;

// One write, so that a report is whole or not there: it fits into a pipe.
_Noreturn static void fail_with(int error, const char *operation, const char *path) {
  uint8_t message[4 + 64 + PATH_MAX];
  size_t name = strnlen(operation, 63), length = strnlen(path, PATH_MAX);
  memcpy(message, &error, 4);
  memcpy(message + 4, operation, name);
  message[4 + name] = 0;
  memcpy(message + 5 + name, path, length);
  (void)!write(report_to, message, 5 + name + length);
  _exit(1);
}

_Noreturn static void fail(const char *operation, const char *path) { fail_with(errno, operation, path); }

static void check(int result, const char *operation, const char *path) {
  if (result < 0) fail(operation, path);
}

_Noreturn static void fail_malformed(void) { fail_with(EBADMSG, "read", "the records of a tree"); }

static void forget_directories(void) {
  for (int i = 0; i < KEPT_DIRECTORIES; i++) {
    if (!kept[i].path) continue;
    close(kept[i].fd);
    free(kept[i].path);
    kept[i] = (struct kept_directory){0};
  }
}

struct place {
  int directory;
  const char *name;
};

// Where a path lies: its directory, opened with no link on the way and kept for the names that follow, and its last
// component. The last that was used is never given up, so two of them may be asked for in a row.
static struct place place_of(const char *path) {
  const char *slash = strrchr(path, '/'), *last = slash ? slash + 1 : path;
  // The kernel keeps the directory inside the tree; of its last component nobody else sees that it is a name.
  if (!*last || !strcmp(last, ".") || !strcmp(last, "..")) fail_with(EINVAL, "open", path);
  if (!slash) return (struct place){root, path};
  size_t length = (size_t)(slash - path);
  struct kept_directory *oldest = kept;
  for (int i = 0; i < KEPT_DIRECTORIES; i++) {
    if (kept[i].path && !strncmp(kept[i].path, path, length) && !kept[i].path[length]) {
      kept[i].used = ++uses;
      return (struct place){kept[i].fd, slash + 1};
    }
    if (kept[i].used < oldest->used) oldest = &kept[i];
  }
  char *directory = strndup(path, length);
  if (!directory) _exit(70);
  int fd = k_openat2(root, directory, O_PATH | O_DIRECTORY | O_CLOEXEC, K_RESOLVE_BENEATH | K_RESOLVE_NO_SYMLINKS | K_RESOLVE_NO_XDEV);
  if (fd < 0) fail("open", directory);
  if (oldest->path) {
    close(oldest->fd);
    free(oldest->path);
  }
  *oldest = (struct kept_directory){directory, fd, ++uses};
  return (struct place){fd, slash + 1};
}

static bool may_be_refused(int error) { return error == EPERM || error == ENOTSUP || error == EINVAL || error == EACCES; }

// `fd` of an open file; else -1, and where it lies.
static void set_xattrs(const struct attributes *attributes, int fd, struct place at) {
  struct cursor cursor = attributes->xattrs;
  struct xattr xattr;
  for (uint32_t i = 0; i < attributes->xattr_count; i++) {
    if (!take_xattr(&cursor, &xattr)) fail_malformed();
    int result = fd < 0 ? fchdir(at.directory) : 0;
    // No call sets one by directory and name; this process has one thread.
    if (result == 0) result = fd < 0 ? lsetxattr(at.name, xattr.name, xattr.value, xattr.length, 0) : fsetxattr(fd, xattr.name, xattr.value, xattr.length, 0);
    if (result < 0 && (attributes->flags & STRICT || !may_be_refused(errno))) fail("setxattr", attributes->path);
  }
}

static void times_of(const struct attributes *attributes, struct timespec times[2]) {
  times[0] = times[1] = (struct timespec){.tv_sec = attributes->seconds, .tv_nsec = attributes->nanoseconds};
}

// Owner first: its change clears set-id bits and capabilities. Times last.
static void set_attributes(const struct attributes *attributes) {
  struct place at = place_of(attributes->path);
  int error;
  struct timespec times[2];
  times_of(attributes, times);
  if (attributes->flags & HAS_OWNER) check(fchownat(at.directory, at.name, attributes->uid, attributes->gid, AT_SYMLINK_NOFOLLOW), "chown", attributes->path);
  if (attributes->flags & HAS_MODE && (error = chmod_at(at.directory, at.name, attributes->mode)) < 0) fail_with(-error, "chmod", attributes->path);
  set_xattrs(attributes, -1, at);
  if (attributes->flags & HAS_TIME) check(utimensat(at.directory, at.name, times, AT_SYMLINK_NOFOLLOW), "utimens", attributes->path);
}

static void begin_file(struct cursor *record) {
  size_t length = (size_t)(record->end - record->at);
  struct cursor copy;
  if (file >= 0 || !(file_record = malloc(length))) fail_malformed();
  memcpy(file_record, record->at, length);
  copy = (struct cursor){file_record, file_record + length};
  if (!take_attributes(&copy, &file_attributes)) fail_malformed();
  struct place at = place_of(file_attributes.path);
  check(file = openat(at.directory, at.name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600), "open", file_attributes.path);
  ends_in_hole = false;
}

static void write_data(const uint8_t *bytes, size_t length) {
  if (file < 0) fail_malformed();
  while (length > 0) {
    ssize_t written = write(file, bytes, length);
    if (written < 0 && errno != EINTR) fail("write", file_attributes.path);
    if (written < 0) continue;
    bytes += written;
    length -= (size_t)written;
    ends_in_hole = false;
  }
}

static void leave_hole(struct cursor *record) {
  uint64_t length;
  if (file < 0 || !take_u64(record, &length)) fail_malformed();
  if (lseek(file, (off_t)length, SEEK_CUR) < 0) fail("write", file_attributes.path);
  ends_in_hole = true;
}

static void end_file(void) {
  const struct attributes *attributes = &file_attributes;
  struct timespec times[2];
  times_of(attributes, times);
  if (file < 0) fail_malformed();
  if (ends_in_hole) check(ftruncate(file, lseek(file, 0, SEEK_CUR)), "write", attributes->path);
  if (attributes->flags & HAS_OWNER) check(fchown(file, attributes->uid, attributes->gid), "chown", attributes->path);
  if (attributes->flags & HAS_MODE) check(fchmod(file, attributes->mode), "chmod", attributes->path);
  set_xattrs(attributes, file, (struct place){-1, NULL});
  if (attributes->flags & HAS_TIME) check(futimens(file, times), "utimens", attributes->path);
  check(close(file), "write", attributes->path);
  free(file_record);
  file = -1;
}

static void make_node(struct cursor *record) {
  uint32_t major_number, minor_number;
  struct attributes attributes;
  if (!take_u32(record, &major_number) || !take_u32(record, &minor_number) || !take_attributes(record, &attributes)) fail_malformed();
  struct place at = place_of(attributes.path);
  int result = k_mknodat(at.directory, at.name, attributes.mode, major_number, minor_number);
  // In a user namespace no device can be made: it stays in the table of its layer. A whiteout can.
  if (result < 0 && errno == EPERM && !(attributes.flags & STRICT) && !S_ISFIFO(attributes.mode)) return;
  check(result, "mknod", attributes.path);
  attributes.mode &= 07777;
  set_attributes(&attributes);
}

static void make_link(struct cursor *record) {
  const char *path, *old;
  if (!take_string(record, &path) || !take_string(record, &old)) fail_malformed();
  struct place from = place_of(old), at = place_of(path);
  check(linkat(from.directory, from.name, at.directory, at.name, 0), "link", path);
}

static void make_directory(const char *path) {
  struct place at = place_of(path);
  check(mkdirat(at.directory, at.name, 0700), "mkdir", path);
}

static void make_symlink(const char *path, struct cursor *record) {
  struct place at = place_of(path);
  const char *target;
  if (!take_string(record, &target)) fail_malformed();
  check(symlinkat(target, at.directory, at.name), "symlink", path);
}

static void remove_name(const char *path) {
  forget_directories();
  struct place at = place_of(path);
  check(remove_tree_at(at.directory, at.name, NULL), "remove", path);
}

static void take_record(uint32_t type, struct cursor record) {
  struct attributes attributes;
  const char *path;
  switch (type) {
  case RECORD_FILE: begin_file(&record); return;
  case RECORD_HOLE: leave_hole(&record); return;
  case RECORD_FILE_END: end_file(); return;
  case RECORD_NODE: make_node(&record); return;
  case RECORD_LINK: make_link(&record); return;
  case RECORD_ATTRIBUTES:
    if (!take_attributes(&record, &attributes)) fail_malformed();
    set_attributes(&attributes);
    return;
  case RECORD_END: _exit(file < 0 ? 0 : 1);
  default:
    if (!take_string(&record, &path)) fail_malformed();
  }
  switch (type) {
  case RECORD_DIRECTORY: make_directory(path); return;
  case RECORD_SYMLINK: make_symlink(path, &record); return;
  case RECORD_REMOVE: remove_name(path); return;
  default: fail_malformed();
  }
}

// At least `wanted` bytes from the feed are held.
static void read_up_to(size_t wanted) {
  while (input.end - input.start < wanted) {
    size_t missing = wanted - (input.end - input.start);
    buffer_reserve(&input, missing > READ_BYTES ? missing : READ_BYTES);
    ssize_t got = read(feed, input.bytes + input.end, input.capacity - input.end);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail("read", "the records of a tree");
    // Whoever made them gave up, and knows why.
    if (got == 0) fail_with(ECANCELED, "read", "the records of a tree");
    input.end += (size_t)got;
  }
}

static void take_data(size_t length) {
  while (length > 0) {
    read_up_to(1);
    size_t held = input.end - input.start, part = held < length ? held : length;
    write_data(input.bytes + input.start, part);
    input.start += part;
    length -= part;
  }
}

_Noreturn static void serve_records(void) {
  for (;;) {
    read_up_to(RECORD_HEADER);
    uint32_t type = read_u32(input.bytes + input.start), length = read_u32(input.bytes + input.start + 4);
    input.start += RECORD_HEADER;
    if (type == RECORD_DATA) {
      take_data(length);
      continue;
    }
    if (length > RECORD_LIMIT) fail_malformed();
    read_up_to(length);
    take_record(type, (struct cursor){input.bytes + input.start, input.bytes + input.start + length});
    input.start += length;
  }
}

// A descriptor that is none of the executor's, which are closed.
static int keep_apart(int fd, int place) {
  if (fd < 0 || dup2(fd, place) < 0) fail("open", TREE_FEED);
  return place;
}

_Noreturn void run_tree_writer(const struct executor_config *config, const char *directory, int report) {
  enum { FEED = 100, REPORT = 101 };
  const char *operation;
  report_to = report;
  char path[PATH_MAX];
  if (strlen(directory) + sizeof "/" TREE_FEED > sizeof path) fail_with(ENAMETOOLONG, "open", directory);
  strcat(strcat(strcpy(path, directory), "/"), TREE_FEED);
  // The report first: an executor with much to do may have made it at the number that the feed gets.
  report_to = keep_apart(report, REPORT);
  // Without waiting for a writer, who may have gone again. Its end is then the end.
  feed = keep_apart(open(path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC), FEED);
  if (fcntl(feed, F_SETFL, 0) < 0) fail("open", TREE_FEED);
  k_close_range(0, FEED - 1, 0);
  k_close_range(REPORT + 1, ~0u, 0);
  // What was read from the coordinator may hold secrets of steps.
  explicit_bzero(config->requests->bytes, config->requests->capacity);
  if (!confine_tree_writer(config, directory, &operation)) fail(operation, directory);
  umask(0);
  int parent = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
  check(parent, "open", directory);
  check(mkdirat(parent, TREE_NAME, 0755), "mkdir", TREE_NAME);
  check(root = openat(parent, TREE_NAME, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), "open", TREE_NAME);
  check(fchmod(root, 0755), "chmod", TREE_NAME);
  close(parent);
  serve_records();
}
