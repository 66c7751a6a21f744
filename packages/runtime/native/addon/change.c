// Calls that change one name in a directory. None follows a symlink of that name.
#define _GNU_SOURCE
#include "call.h"

#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include "../common/chmod-at.h"
#include "../common/kernel.h"

// A directory and a name as the first two arguments.
static int directory_and_name(napi_env env, const napi_value *arguments, int *directory, struct text *name) {
  int error = get_int(env, arguments[0], directory);
  return error != 0 ? error : get_name(env, arguments[1], name);
}

static int descriptor_and_name(napi_env env, const napi_value *arguments, int *directory, struct text *name) {
  int error = get_int(env, arguments[0], directory);
  return error != 0 ? error : get_name_or_self(env, arguments[1], name);
}

napi_value native_mkdir_at(napi_env env, napi_callback_info info) {
  napi_value arguments[3];
  call_arguments(env, info, 3, arguments);
  struct text name;
  int directory, error;
  uint32_t mode;
  if ((error = directory_and_name(env, arguments, &directory, &name)) || (error = get_unsigned(env, arguments[2], &mode))) return answer(env, error);
  return answer_call(env, mkdirat(directory, name.bytes, mode));
}

napi_value native_symlink_at(napi_env env, napi_callback_info info) {
  napi_value arguments[3];
  call_arguments(env, info, 3, arguments);
  struct text target, name;
  int directory, error;
  if ((error = get_text(env, arguments[0], &target)) || (error = directory_and_name(env, arguments + 1, &directory, &name))) return answer(env, error);
  return answer_call(env, symlinkat(target.bytes, directory, name.bytes));
}

napi_value native_link_at(napi_env env, napi_callback_info info) {
  napi_value arguments[4];
  call_arguments(env, info, 4, arguments);
  struct text old, name;
  int old_directory, directory, error;
  if ((error = descriptor_and_name(env, arguments, &old_directory, &old)) || (error = directory_and_name(env, arguments + 2, &directory, &name))) return answer(env, error);
  if (old.length > 0) return answer_call(env, linkat(old_directory, old.bytes, directory, name.bytes, 0));
  // By /proc: AT_EMPTY_PATH wants CAP_DAC_READ_SEARCH.
  char path[64];
  proc_path(path, sizeof path, old_directory, "");
  return answer_call(env, linkat(AT_FDCWD, path, directory, name.bytes, AT_SYMLINK_FOLLOW));
}

napi_value native_mknod_at(napi_env env, napi_callback_info info) {
  napi_value arguments[5];
  call_arguments(env, info, 5, arguments);
  struct text name;
  int directory, error;
  uint32_t mode, device_major, device_minor;
  if ((error = directory_and_name(env, arguments, &directory, &name)) || (error = get_unsigned(env, arguments[2], &mode)) || (error = get_unsigned(env, arguments[3], &device_major)) || (error = get_unsigned(env, arguments[4], &device_minor)))
    return answer(env, error);
  return answer_call(env, k_mknodat(directory, name.bytes, mode, device_major, device_minor));
}

napi_value native_unlink_at(napi_env env, napi_callback_info info) {
  napi_value arguments[3];
  call_arguments(env, info, 3, arguments);
  struct text name;
  int directory, error;
  bool is_directory = false;
  if ((error = directory_and_name(env, arguments, &directory, &name))) return answer(env, error);
  if (napi_get_value_bool(env, arguments[2], &is_directory) != napi_ok) return answer(env, -EINVAL);
  return answer_call(env, unlinkat(directory, name.bytes, is_directory ? AT_REMOVEDIR : 0));
}

napi_value native_rename_at(napi_env env, napi_callback_info info) {
  napi_value arguments[5];
  call_arguments(env, info, 5, arguments);
  struct text old, name;
  int old_directory, directory, error;
  uint32_t flags;
  if ((error = directory_and_name(env, arguments, &old_directory, &old)) || (error = directory_and_name(env, arguments + 2, &directory, &name)) || (error = get_unsigned(env, arguments[4], &flags))) return answer(env, error);
  return answer_call(env, k_renameat2(old_directory, old.bytes, directory, name.bytes, flags));
}

napi_value native_chown_at(napi_env env, napi_callback_info info) {
  napi_value arguments[4];
  call_arguments(env, info, 4, arguments);
  struct text name;
  int directory, error;
  uint32_t uid, gid;
  if ((error = descriptor_and_name(env, arguments, &directory, &name)) || (error = get_unsigned(env, arguments[2], &uid)) || (error = get_unsigned(env, arguments[3], &gid))) return answer(env, error);
  return answer_call(env, fchownat(directory, name.bytes, uid, gid, AT_SYMLINK_NOFOLLOW | (name.length == 0 ? AT_EMPTY_PATH : 0)));
}

napi_value native_chmod_at(napi_env env, napi_callback_info info) {
  napi_value arguments[3];
  call_arguments(env, info, 3, arguments);
  struct text name;
  int directory, error;
  uint32_t mode;
  if ((error = descriptor_and_name(env, arguments, &directory, &name)) || (error = get_unsigned(env, arguments[2], &mode))) return answer(env, error);
  if (name.length == 0) return answer_call(env, fchmod(directory, mode));
  return answer(env, chmod_at(directory, name.bytes, mode));
}

napi_value native_utimens_at(napi_env env, napi_callback_info info) {
  napi_value arguments[6];
  call_arguments(env, info, 6, arguments);
  struct text name;
  int directory, error;
  int64_t numbers[4];
  if ((error = descriptor_and_name(env, arguments, &directory, &name))) return answer(env, error);
  for (int i = 0; i < 4; i++)
    if ((error = get_int64(env, arguments[2 + i], &numbers[i]))) return answer(env, error);
  const struct timespec times[2] = {{.tv_sec = numbers[0], .tv_nsec = numbers[1]}, {.tv_sec = numbers[2], .tv_nsec = numbers[3]}};
  if (name.length == 0) return answer_call(env, futimens(directory, times));
  return answer_call(env, utimensat(directory, name.bytes, times, AT_SYMLINK_NOFOLLOW));
}
