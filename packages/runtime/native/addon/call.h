// What every call of the addon shares: arguments in, a number or -errno out. No call throws.
#ifndef TS_OCI_CALL_H
#define TS_OCI_CALL_H

#include <errno.h>
#include <node_api.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "record.h"

// Longest path that the kernel takes, its final NUL included.
#define TEXT_MAX 4096

// Per environment (main thread or worker).
struct instance {
  struct record *stat_record;
  napi_ref stat_buffer;
};

struct text {
  char bytes[TEXT_MAX];
  size_t length;
};

// Reads the arguments of a call; fewer than `expected` come as undefined and are refused by their getters.
void call_arguments(napi_env env, napi_callback_info info, size_t expected, napi_value *arguments);

// Each getter answers 0 or -errno.
// A string is a byte string: a char above 255 is EINVAL, since cutting it to a byte could forge a `/` or a `..`.
int get_text(napi_env env, napi_value value, struct text *text);
// One name: neither empty nor `..` nor with a slash in it. `.` is the directory itself.
int get_name(napi_env env, napi_value value, struct text *text);
// As get_name, or empty: the descriptor itself.
int get_name_or_self(napi_env env, napi_value value, struct text *text);
int get_int(napi_env env, napi_value value, int *number);
int get_unsigned(napi_env env, napi_value value, uint32_t *number);
int get_int64(napi_env env, napi_value value, int64_t *number);
int get_bytes(napi_env env, napi_value value, void **bytes, size_t *length);

// A result as JavaScript gets it: `result` if it is not negative, else -errno of a failed call.
napi_value answer(napi_env env, int64_t result);
napi_value answer_call(napi_env env, int64_t result);
// [-errno, path]
napi_value answer_failure(napi_env env, int error, const char *path, size_t length);

struct instance *instance_of(napi_env env);

// openat2(2) with its retry for a concurrent rename, always O_CLOEXEC; -errno.
int open_resolved(int directory, const char *path, int flags, unsigned mode, uint64_t resolution);
// `/proc/self/fd/N` or `/proc/self/fd/N/name`, for calls that take no directory descriptor.
void proc_path(char *target, size_t size, int directory, const char *name);

typedef napi_value callback(napi_env env, napi_callback_info info);
callback native_open_path, native_open_at, native_open_resolved, native_close;
callback native_set_stat_record, native_stat_at, native_stat_fd, native_stat_resolved, native_readlink_at;
callback native_read_directory, native_walk;
callback native_mkdir_at, native_symlink_at, native_link_at, native_mknod_at, native_unlink_at, native_rename_at;
callback native_chown_at, native_chmod_at, native_utimens_at, native_remove_tree;
callback native_read_file_into, native_copy_range, native_clone_file, native_fsync, native_syncfs, native_flock, native_grow_pipe;
callback native_list_xattrs, native_get_xattr, native_set_xattr, native_remove_xattr;
callback native_deflate_block, native_deflate_bound;
callback native_guard_signals, native_landlock_version;
callback native_mount_image, native_is_image_mounted, native_trim;

#endif
