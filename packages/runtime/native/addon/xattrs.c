// Extended attributes of one name, a symlink's own too. The calls with a directory descriptor came with Linux 6.13;
// /proc/self/fd/N/name names the same file, and the l-forms do not follow the last component.
#define _GNU_SOURCE
#include "call.h"

#include <linux/limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>

struct target {
  char path[TEXT_MAX];
  bool self;
};

static int get_target(napi_env env, const napi_value *arguments, struct target *target) {
  struct text name;
  int directory, error;
  if ((error = get_int(env, arguments[0], &directory)) || (error = get_name_or_self(env, arguments[1], &name))) return error;
  // The kernel's limit of a name is 255 bytes; a longer one must not be cut into another.
  if (name.length > NAME_MAX) return -ENAMETOOLONG;
  target->self = name.length == 0;
  proc_path(target->path, sizeof target->path, directory, name.bytes);
  return 0;
}

napi_value native_list_xattrs(napi_env env, napi_callback_info info) {
  napi_value arguments[2];
  call_arguments(env, info, 2, arguments);
  struct target target;
  int error = get_target(env, arguments, &target);
  if (error != 0) return answer(env, error);
  char names[XATTR_LIST_MAX];
  ssize_t length = target.self ? listxattr(target.path, names, sizeof names) : llistxattr(target.path, names, sizeof names);
  if (length < 0) return answer(env, -errno);
  napi_value text = NULL;
  napi_create_string_latin1(env, names, (size_t)length, &text);
  return text;
}

napi_value native_get_xattr(napi_env env, napi_callback_info info) {
  napi_value arguments[3];
  call_arguments(env, info, 3, arguments);
  struct target target;
  struct text attribute;
  int error;
  if ((error = get_target(env, arguments, &target)) || (error = get_text(env, arguments[2], &attribute))) return answer(env, error);
  char value[XATTR_SIZE_MAX];
  ssize_t length = target.self ? getxattr(target.path, attribute.bytes, value, sizeof value) : lgetxattr(target.path, attribute.bytes, value, sizeof value);
  if (length < 0) return answer(env, -errno);
  napi_value buffer = NULL;
  napi_create_buffer_copy(env, (size_t)length, value, NULL, &buffer);
  return buffer;
}

napi_value native_set_xattr(napi_env env, napi_callback_info info) {
  napi_value arguments[4];
  call_arguments(env, info, 4, arguments);
  struct target target;
  struct text attribute;
  void *value;
  size_t length;
  int error;
  if ((error = get_target(env, arguments, &target)) || (error = get_text(env, arguments[2], &attribute)) || (error = get_bytes(env, arguments[3], &value, &length))) return answer(env, error);
  return answer_call(env, target.self ? setxattr(target.path, attribute.bytes, value, length, 0) : lsetxattr(target.path, attribute.bytes, value, length, 0));
}

napi_value native_remove_xattr(napi_env env, napi_callback_info info) {
  napi_value arguments[3];
  call_arguments(env, info, 3, arguments);
  struct target target;
  struct text attribute;
  int error;
  if ((error = get_target(env, arguments, &target)) || (error = get_text(env, arguments[2], &attribute))) return answer(env, error);
  return answer_call(env, target.self ? removexattr(target.path, attribute.bytes) : lremovexattr(target.path, attribute.bytes));
}
