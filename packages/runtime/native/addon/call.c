#define _GNU_SOURCE
#include "call.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "../common/kernel.h"

void call_arguments(napi_env env, napi_callback_info info, size_t expected, napi_value *arguments) {
  size_t count = expected;
  napi_get_cb_info(env, info, &count, arguments, NULL, NULL);
}

int get_text(napi_env env, napi_value value, struct text *text) {
  // Read as UTF-16, not as latin1: that reader drops the high byte of each char without a word.
  char16_t wide[TEXT_MAX + 1];
  size_t length = 0;
  if (napi_get_value_string_utf16(env, value, wide, TEXT_MAX + 1, &length) != napi_ok) return -EINVAL;
  if (length >= TEXT_MAX) return -ENAMETOOLONG;
  for (size_t i = 0; i < length; i++) {
    if (wide[i] == 0 || wide[i] > 255) return -EINVAL;
    text->bytes[i] = (char)wide[i];
  }
  text->bytes[length] = '\0';
  text->length = length;
  return 0;
}

static bool is_name(const struct text *text) {
  return text->length > 0 && strcmp(text->bytes, "..") != 0 && memchr(text->bytes, '/', text->length) == NULL;
}

int get_name(napi_env env, napi_value value, struct text *text) {
  int error = get_text(env, value, text);
  if (error != 0) return error;
  return is_name(text) ? 0 : -EINVAL;
}

int get_name_or_self(napi_env env, napi_value value, struct text *text) {
  int error = get_text(env, value, text);
  if (error != 0) return error;
  return text->length == 0 || is_name(text) ? 0 : -EINVAL;
}

int get_int(napi_env env, napi_value value, int *number) {
  return napi_get_value_int32(env, value, number) == napi_ok ? 0 : -EINVAL;
}

int get_unsigned(napi_env env, napi_value value, uint32_t *number) {
  return napi_get_value_uint32(env, value, number) == napi_ok ? 0 : -EINVAL;
}

int get_int64(napi_env env, napi_value value, int64_t *number) {
  return napi_get_value_int64(env, value, number) == napi_ok ? 0 : -EINVAL;
}

int get_bytes(napi_env env, napi_value value, void **bytes, size_t *length) {
  napi_typedarray_type type;
  if (napi_get_typedarray_info(env, value, &type, length, bytes, NULL, NULL) != napi_ok) return -EINVAL;
  return type == napi_uint8_array ? 0 : -EINVAL;
}

napi_value answer(napi_env env, int64_t result) {
  napi_value value = NULL;
  napi_create_int64(env, result, &value);
  return value;
}

napi_value answer_call(napi_env env, int64_t result) {
  return answer(env, result < 0 ? -errno : result);
}

napi_value answer_failure(napi_env env, int error, const char *path, size_t length) {
  napi_value pair = NULL, text = NULL;
  if (napi_create_string_latin1(env, path, length, &text) != napi_ok) return answer(env, error);
  napi_create_array_with_length(env, 2, &pair);
  napi_set_element(env, pair, 0, answer(env, error));
  napi_set_element(env, pair, 1, text);
  return pair;
}

struct instance *instance_of(napi_env env) {
  void *instance = NULL;
  napi_get_instance_data(env, &instance);
  return instance;
}

int open_resolved(int directory, const char *path, int flags, unsigned mode, uint64_t resolution) {
  struct kernel_open_how how = {.flags = (uint64_t)(unsigned)(flags | O_CLOEXEC), .mode = 0, .resolve = resolution};
  if (!(flags & O_PATH)) how.flags |= O_NOCTTY;
  if (flags & (O_CREAT | (O_TMPFILE & ~O_DIRECTORY))) how.mode = mode & 07777;
  // EAGAIN: something was renamed while `..` was resolved; the kernel asks us to try again.
  for (int attempt = 0; attempt < 64; attempt++) {
    int fd = k_open_how(directory, path[0] == '\0' ? "." : path, &how);
    if (fd >= 0) return fd;
    if (errno != EAGAIN && errno != EINTR) return -errno;
  }
  return -EAGAIN;
}

void proc_path(char *target, size_t size, int directory, const char *name) {
  snprintf(target, size, name[0] == '\0' ? "/proc/self/fd/%d" : "/proc/self/fd/%d/%s", directory, name);
}
