// Opening and closing, and the calls on an open descriptor.
#define _GNU_SOURCE
#include "call.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

napi_value native_open_path(napi_env env, napi_callback_info info) {
  napi_value arguments[3];
  call_arguments(env, info, 3, arguments);
  struct text path;
  int flags, error;
  uint32_t mode;
  if ((error = get_text(env, arguments[0], &path)) || (error = get_int(env, arguments[1], &flags)) || (error = get_unsigned(env, arguments[2], &mode))) return answer(env, error);
  int fd;
  do fd = open(path.bytes, flags | O_CLOEXEC, mode);
  while (fd < 0 && errno == EINTR);
  return answer_call(env, fd);
}

napi_value native_open_at(napi_env env, napi_callback_info info) {
  napi_value arguments[4];
  call_arguments(env, info, 4, arguments);
  struct text name;
  int directory, flags, error;
  uint32_t mode;
  if ((error = get_int(env, arguments[0], &directory)) || (error = get_name(env, arguments[1], &name)) || (error = get_int(env, arguments[2], &flags)) || (error = get_unsigned(env, arguments[3], &mode)))
    return answer(env, error);
  int fd;
  do fd = openat(directory, name.bytes, flags | O_CLOEXEC | O_NOFOLLOW, mode);
  while (fd < 0 && errno == EINTR);
  return answer_call(env, fd);
}

napi_value native_open_resolved(napi_env env, napi_callback_info info) {
  napi_value arguments[5];
  call_arguments(env, info, 5, arguments);
  struct text path;
  int directory, flags, error;
  uint32_t mode, resolution;
  if ((error = get_int(env, arguments[0], &directory)) || (error = get_text(env, arguments[1], &path)) || (error = get_int(env, arguments[2], &flags)) || (error = get_unsigned(env, arguments[3], &mode)) ||
      (error = get_unsigned(env, arguments[4], &resolution)))
    return answer(env, error);
  return answer(env, open_resolved(directory, path.bytes, flags, mode, resolution));
}

napi_value native_close(napi_env env, napi_callback_info info) {
  napi_value argument;
  call_arguments(env, info, 1, &argument);
  int fd, error;
  if ((error = get_int(env, argument, &fd))) return answer(env, error);
  // After EINTR the descriptor is closed all the same on Linux: closing again could close somebody else's.
  int result = close(fd);
  return result < 0 && errno != EINTR ? answer_call(env, result) : answer(env, 0);
}

napi_value native_fsync(napi_env env, napi_callback_info info) {
  napi_value argument;
  call_arguments(env, info, 1, &argument);
  int fd, error;
  if ((error = get_int(env, argument, &fd))) return answer(env, error);
  return answer_call(env, fsync(fd));
}

napi_value native_syncfs(napi_env env, napi_callback_info info) {
  napi_value argument;
  call_arguments(env, info, 1, &argument);
  int fd, error;
  if ((error = get_int(env, argument, &fd))) return answer(env, error);
  return answer_call(env, syncfs(fd));
}

napi_value native_flock(napi_env env, napi_callback_info info) {
  napi_value arguments[2];
  call_arguments(env, info, 2, arguments);
  int fd, operation, error;
  if ((error = get_int(env, arguments[0], &fd)) || (error = get_int(env, arguments[1], &operation))) return answer(env, error);
  int result;
  do result = flock(fd, operation);
  while (result < 0 && errno == EINTR);
  return answer_call(env, result);
}

napi_value native_grow_pipe(napi_env env, napi_callback_info info) {
  napi_value arguments[2];
  call_arguments(env, info, 2, arguments);
  int fd, bytes, error;
  if ((error = get_int(env, arguments[0], &fd)) || (error = get_int(env, arguments[1], &bytes))) return answer(env, error);
  return answer_call(env, fcntl(fd, F_SETPIPE_SZ, bytes));
}
