// Status of one name; the answer is the type bits of its mode, all else lies in the instance's record.
#define _GNU_SOURCE
#include "call.h"

#include <fcntl.h>
#include <unistd.h>

#include "../common/kernel.h"

napi_value native_set_stat_record(napi_env env, napi_callback_info info) {
  napi_value buffer;
  call_arguments(env, info, 1, &buffer);
  void *bytes = NULL;
  size_t length = 0;
  if (napi_get_arraybuffer_info(env, buffer, &bytes, &length) != napi_ok || length < sizeof(struct record)) return answer(env, -EINVAL);
  struct instance *instance = instance_of(env);
  if (instance->stat_buffer != NULL) napi_delete_reference(env, instance->stat_buffer);
  napi_create_reference(env, buffer, 1, &instance->stat_buffer);
  instance->stat_record = bytes;
  return answer(env, 0);
}

static napi_value leave_stat(napi_env env, const struct stat *status) {
  struct instance *instance = instance_of(env);
  if (instance->stat_record != NULL) record_from_stat(instance->stat_record, status);
  return answer(env, status->st_mode & S_IFMT);
}

napi_value native_stat_at(napi_env env, napi_callback_info info) {
  napi_value arguments[2];
  call_arguments(env, info, 2, arguments);
  struct text name;
  struct stat status;
  int directory, error;
  if ((error = get_int(env, arguments[0], &directory)) || (error = get_name(env, arguments[1], &name))) return answer(env, error);
  if (k_lstatat(directory, name.bytes, &status) < 0) return answer(env, -errno);
  return leave_stat(env, &status);
}

napi_value native_stat_fd(napi_env env, napi_callback_info info) {
  napi_value argument;
  call_arguments(env, info, 1, &argument);
  struct stat status;
  int fd, error;
  if ((error = get_int(env, argument, &fd))) return answer(env, error);
  if (k_fstat(fd, &status) < 0) return answer(env, -errno);
  return leave_stat(env, &status);
}

napi_value native_stat_resolved(napi_env env, napi_callback_info info) {
  napi_value arguments[4];
  call_arguments(env, info, 4, arguments);
  struct text path;
  int directory, flags, error;
  uint32_t resolution;
  if ((error = get_int(env, arguments[0], &directory)) || (error = get_text(env, arguments[1], &path)) || (error = get_int(env, arguments[2], &flags)) || (error = get_unsigned(env, arguments[3], &resolution)))
    return answer(env, error);
  int fd = open_resolved(directory, path.bytes, flags | O_PATH, 0, resolution);
  if (fd < 0) return answer(env, fd);
  struct stat status;
  int result = k_fstat(fd, &status);
  int saved = errno;
  close(fd);
  return result < 0 ? answer(env, -saved) : leave_stat(env, &status);
}

napi_value native_readlink_at(napi_env env, napi_callback_info info) {
  napi_value arguments[2];
  call_arguments(env, info, 2, arguments);
  struct text name;
  int directory, error;
  if ((error = get_int(env, arguments[0], &directory)) || (error = get_name_or_self(env, arguments[1], &name))) return answer(env, error);
  char target[TEXT_MAX];
  ssize_t length = readlinkat(directory, name.bytes, target, sizeof target);
  if (length < 0) return answer(env, -errno);
  napi_value text = NULL;
  napi_create_string_latin1(env, target, (size_t)length, &text);
  return text;
}
