// Bulk reading of one directory or of a whole tree into packed records, without recursion: a step can make a tree that
// is deeper than any stack. A directory's names are read, sorted and asked for their status at once, then its
// directories are entered in that order.
#define _GNU_SOURCE
#include "call.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "../common/kernel.h"

#define WITH_XATTRS 1u
#define WITH_LINKS 2u
#define NAMES_ONLY 4u

// Directories that stay open on the way down; deeper ones are closed and opened again on the way up.
#define OPEN_MAX_DEPTH 128

struct bytes {
  char *data;
  size_t length, capacity;
};

struct records {
  struct record *data;
  size_t length, capacity;
};

// A listed directory. Its records carry offsets into `names`.
struct frame {
  int fd;
  int32_t self;
  size_t next;
  struct records children;
  struct bytes names;
};

struct walk {
  uint32_t flags;
  int root;
  struct records records;
  struct bytes names;
  struct frame *frames;
  size_t depth, frames_capacity;
};

static void *grow(void *data, size_t *capacity, size_t needed, size_t element) {
  if (needed <= *capacity) return data;
  size_t larger = *capacity < 64 ? 64 : *capacity;
  while (larger < needed) larger *= 2;
  void *moved = realloc(data, larger * element);
  if (moved != NULL) *capacity = larger;
  return moved;
}

static int append_bytes(struct bytes *bytes, const char *data, size_t length) {
  char *moved = grow(bytes->data, &bytes->capacity, bytes->length + length + 1, 1);
  if (moved == NULL) return -ENOMEM;
  bytes->data = moved;
  memcpy(moved + bytes->length, data, length);
  bytes->length += length;
  moved[bytes->length] = '\0';
  return 0;
}

static int append_record(struct records *records, const struct record *record) {
  struct record *moved = grow(records->data, &records->capacity, records->length + 1, sizeof *record);
  if (moved == NULL) return -ENOMEM;
  records->data = moved;
  moved[records->length++] = *record;
  return 0;
}

static void free_frame(struct frame *frame, int root) {
  if (frame->fd >= 0 && frame->fd != root) close(frame->fd);
  free(frame->children.data);
  free(frame->names.data);
}

static int compare_names(const void *left, const void *right, void *names) {
  const struct record *a = left, *b = right;
  return strcmp((const char *)names + a->name_offset, (const char *)names + b->name_offset);
}

// Names of a directory, each with its NUL, sorted by bytes; `mode` holds the type that the directory names.
static int list_names(int directory, struct frame *frame) {
  // Opened anew, so that the position of the caller's descriptor does not matter and O_PATH ones will do.
  int fd = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return -errno;
  char buffer[32768] __attribute__((aligned(8)));
  int error = 0;
  while (error == 0) {
    ssize_t length = k_getdents(fd, buffer, sizeof buffer);
    if (length < 0) error = -errno;
    if (length <= 0) break;
    for (ssize_t at = 0; at < length && error == 0;) {
      const struct kernel_dirent *entry = (const void *)(buffer + at);
      at += entry->size;
      const char *name = entry->name;
      if (name[0] == '.' && (name[1] == '\0' || (name[1] == '.' && name[2] == '\0'))) continue;
      size_t name_length = strlen(name);
      // Offsets have 32 bits.
      if (frame->names.length > UINT32_MAX - 2 * TEXT_MAX) {
        error = -EOVERFLOW;
        break;
      }
      struct record record = {.mode = (uint32_t)entry->type << 12, .parent = -1, .name_offset = (uint32_t)frame->names.length, .name_length = (uint32_t)name_length};
      error = append_bytes(&frame->names, name, name_length + 1);
      if (error == 0) error = append_record(&frame->children, &record);
    }
  }
  close(fd);
  if (error == 0 && frame->children.length > 1) qsort_r(frame->children.data, frame->children.length, sizeof(struct record), compare_names, frame->names.data);
  return error;
}

// Whether a file carries attributes that a layer could mean: a security module's label is on every file.
static bool has_xattrs(int directory, const char *name) {
  char path[TEXT_MAX], names[1024];
  proc_path(path, sizeof path, directory, name);
  ssize_t length = llistxattr(path, names, sizeof names);
  if (length < 0) return errno == ERANGE;
  for (ssize_t at = 0; at < length; at += (ssize_t)strlen(names + at) + 1)
    if (strcmp(names + at, "security.selinux") != 0) return true;
  return false;
}

// The status of a listed name. 1: it vanished since it was listed, which a live directory may do at any time.
static int complete(int directory, struct record *record, const char *name, uint32_t flags) {
  if ((flags & NAMES_ONLY) && record->mode != 0) return 0;
  struct stat status;
  if (k_lstatat(directory, name, &status) < 0) return errno == ENOENT ? 1 : -errno;
  const uint32_t name_offset = record->name_offset, name_length = record->name_length;
  record_from_stat(record, &status);
  record->name_offset = name_offset;
  record->name_length = name_length;
  if ((flags & WITH_XATTRS) && has_xattrs(directory, name)) record->flags |= RECORD_HAS_XATTRS;
  return 0;
}

// Moves a child of a listed directory to the result; answers its index, or -errno.
static int64_t emit(struct walk *walk, const struct frame *frame, int fd, const struct record *child) {
  struct record record = *child;
  const char *name = frame->names.data + child->name_offset;
  if (walk->names.length > UINT32_MAX - 2 * TEXT_MAX || walk->records.length >= INT32_MAX) return -EOVERFLOW;
  record.name_offset = (uint32_t)walk->names.length;
  record.parent = frame->self;
  record.end = (uint32_t)walk->records.length + 1;
  int error = append_bytes(&walk->names, name, record.name_length);
  if (error != 0) return error;
  if ((walk->flags & WITH_LINKS) && S_ISLNK(record.mode)) {
    char target[TEXT_MAX];
    ssize_t length = readlinkat(fd, name, target, sizeof target);
    if (length < 0) return -errno;
    if ((error = append_bytes(&walk->names, target, (size_t)length)) != 0) return error;
    record.link_length = (uint32_t)length;
  }
  if ((error = append_record(&walk->records, &record)) != 0) return error;
  return (int64_t)walk->records.length - 1;
}

// Lists a directory as a new frame, which owns `fd` from now on.
static int push(struct walk *walk, int fd, int32_t self) {
  struct frame *moved = grow(walk->frames, &walk->frames_capacity, walk->depth + 1, sizeof *moved);
  if (moved == NULL) {
    if (fd != walk->root) close(fd);
    return -ENOMEM;
  }
  walk->frames = moved;
  struct frame *frame = &moved[walk->depth++];
  *frame = (struct frame){.fd = fd, .self = self};
  int error = list_names(fd, frame);
  if (error != 0) return error;
  size_t kept = 0;
  for (size_t i = 0; i < frame->children.length; i++) {
    struct record *child = &frame->children.data[i];
    int result = complete(fd, child, frame->names.data + child->name_offset, walk->flags);
    if (result < 0) return result;
    if (result == 0) frame->children.data[kept++] = *child;
  }
  frame->children.length = kept;
  return 0;
}

static int open_child(int directory, const char *name) {
  int fd = openat(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  return fd < 0 ? -errno : fd;
}

// Opens the directory above again from the one that is done. `..` of a directory that somebody moved meanwhile is
// another one: then the walk fails rather than mix two places.
static int reopen_parent(struct walk *walk) {
  struct frame *parent = &walk->frames[walk->depth - 2];
  if (parent->fd >= 0) return 0;
  const struct record *expected = &walk->records.data[parent->self];
  struct stat status;
  int fd = openat(walk->frames[walk->depth - 1].fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return -errno;
  if (k_fstat(fd, &status) < 0 || status.st_ino != expected->ino || status.st_dev != expected->dev) {
    close(fd);
    return -ESTALE;
  }
  parent->fd = fd;
  return 0;
}

static int descend(struct walk *walk, int fd, const struct record *child, const char *name, int32_t self) {
  int opened = open_child(fd, name);
  if (opened < 0) return opened;
  if (walk->depth >= OPEN_MAX_DEPTH) {
    struct frame *frame = &walk->frames[walk->depth - 1];
    close(frame->fd);
    frame->fd = -1;
  }
  return push(walk, opened, self);
}

static int walk_tree(struct walk *walk) {
  int error = push(walk, walk->root, -1);
  while (error == 0 && walk->depth > 0) {
    struct frame *frame = &walk->frames[walk->depth - 1];
    if (frame->next == frame->children.length) {
      if (frame->self >= 0) walk->records.data[frame->self].end = (uint32_t)walk->records.length;
      if (walk->depth > 1 && (error = reopen_parent(walk)) != 0) break;
      free_frame(frame, walk->root);
      walk->depth--;
      continue;
    }
    const struct record *child = &frame->children.data[frame->next++];
    int64_t index = emit(walk, frame, frame->fd, child);
    if (index < 0) return (int)index;
    if (S_ISDIR(child->mode)) error = descend(walk, frame->fd, child, frame->names.data + child->name_offset, (int32_t)index);
  }
  return error;
}

// Path of the entry that was worked on when something failed.
static void failed_path(const struct walk *walk, struct bytes *path) {
  for (size_t i = 0; i < walk->depth; i++) {
    const struct frame *frame = &walk->frames[i];
    if (frame->next == 0) break;
    const struct record *child = &frame->children.data[frame->next - 1];
    if (i > 0 && append_bytes(path, "/", 1) != 0) return;
    if (append_bytes(path, frame->names.data + child->name_offset, child->name_length) != 0) return;
  }
}

static napi_value packed(napi_env env, const struct walk *walk) {
  napi_value pair = NULL, buffer = NULL, names = NULL;
  void *target = NULL;
  const size_t size = walk->records.length * sizeof(struct record);
  if (napi_create_arraybuffer(env, size, &target, &buffer) != napi_ok) return answer_failure(env, -ENOMEM, "", 0);
  if (size > 0) memcpy(target, walk->records.data, size);
  if (napi_create_string_latin1(env, walk->names.data == NULL ? "" : walk->names.data, walk->names.length, &names) != napi_ok) return answer_failure(env, -EOVERFLOW, "", 0);
  napi_create_array_with_length(env, 2, &pair);
  napi_set_element(env, pair, 0, buffer);
  napi_set_element(env, pair, 1, names);
  return pair;
}

static void free_walk(struct walk *walk) {
  while (walk->depth > 0) free_frame(&walk->frames[--walk->depth], walk->root);
  free(walk->frames);
  free(walk->records.data);
  free(walk->names.data);
}

static int walk_directory(struct walk *walk) {
  int error = push(walk, walk->root, -1);
  if (error != 0) return error;
  struct frame *frame = &walk->frames[0];
  while (frame->next < frame->children.length) {
    int64_t index = emit(walk, frame, walk->root, &frame->children.data[frame->next++]);
    if (index < 0) return (int)index;
  }
  return 0;
}

static napi_value run(napi_env env, napi_callback_info info, int (*read)(struct walk *)) {
  napi_value arguments[2];
  call_arguments(env, info, 2, arguments);
  struct walk walk = {0};
  int error;
  if ((error = get_int(env, arguments[0], &walk.root)) || (error = get_unsigned(env, arguments[1], &walk.flags))) return answer_failure(env, error, "", 0);
  error = read(&walk);
  napi_value result;
  if (error == 0) {
    result = packed(env, &walk);
  } else {
    struct bytes path = {0};
    failed_path(&walk, &path);
    result = answer_failure(env, error, path.data == NULL ? "" : path.data, path.length);
    free(path.data);
  }
  free_walk(&walk);
  return result;
}

napi_value native_read_directory(napi_env env, napi_callback_info info) {
  return run(env, info, walk_directory);
}

napi_value native_walk(napi_env env, napi_callback_info info) {
  return run(env, info, walk_tree);
}
