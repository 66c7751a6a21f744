// Whole contents: a small file in one call, and copies that stay in the kernel.
#define _GNU_SOURCE
#include "call.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "../common/kernel.h"

static int64_t read_until(int fd, char *target, size_t length) {
  size_t done = 0;
  while (done < length) {
    ssize_t count = read(fd, target + done, length - done);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return -errno;
    if (count == 0) break;
    done += (size_t)count;
  }
  return (int64_t)done;
}

napi_value native_read_file_into(napi_env env, napi_callback_info info) {
  napi_value arguments[6];
  call_arguments(env, info, 6, arguments);
  struct text path;
  int directory, error;
  uint32_t resolution;
  void *bytes;
  size_t size;
  int64_t offset, length;
  if ((error = get_int(env, arguments[0], &directory)) || (error = get_text(env, arguments[1], &path)) || (error = get_unsigned(env, arguments[2], &resolution)) || (error = get_bytes(env, arguments[3], &bytes, &size)) ||
      (error = get_int64(env, arguments[4], &offset)) || (error = get_int64(env, arguments[5], &length)))
    return answer(env, error);
  if (offset < 0 || length < 0 || (uint64_t)offset > size || (uint64_t)length > size - (uint64_t)offset) return answer(env, -EINVAL);
  // O_NONBLOCK: a fifo that took the file's place must not hold us.
  int fd = open_resolved(directory, path.bytes, O_RDONLY | O_NONBLOCK, 0, resolution);
  if (fd < 0) return answer(env, fd);
  struct stat status;
  int64_t result;
  if (k_fstat(fd, &status) < 0) result = -errno;
  else if (!S_ISREG(status.st_mode)) result = -EINVAL;
  else result = read_until(fd, (char *)bytes + offset, (size_t)length);
  close(fd);
  struct instance *instance = instance_of(env);
  if (result >= 0 && instance->stat_record != NULL) record_from_stat(instance->stat_record, &status);
  return answer(env, result);
}

// Where the kernel cannot copy between these two files: other file systems, pipes, special files.
static int64_t copy_by_hand(int from, off_t from_offset, int to, off_t to_offset, int64_t length) {
  const size_t chunk = 1 << 18;
  char *buffer = malloc(chunk);
  if (buffer == NULL) return -ENOMEM;
  int64_t done = 0;
  int error = 0;
  while (done < length && error == 0) {
    size_t wanted = (uint64_t)(length - done) < chunk ? (size_t)(length - done) : chunk;
    ssize_t count = pread(from, buffer, wanted, from_offset + done);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) error = -errno;
    if (count <= 0) break;
    for (ssize_t written = 0; written < count && error == 0;) {
      ssize_t step = pwrite(to, buffer + written, (size_t)(count - written), to_offset + done + written);
      if (step < 0 && errno != EINTR) error = -errno;
      if (step > 0) written += step;
    }
    done += count;
  }
  free(buffer);
  return error != 0 ? error : done;
}

napi_value native_copy_range(napi_env env, napi_callback_info info) {
  napi_value arguments[5];
  call_arguments(env, info, 5, arguments);
  int from, to, error;
  int64_t from_offset, to_offset, length;
  if ((error = get_int(env, arguments[0], &from)) || (error = get_int64(env, arguments[1], &from_offset)) || (error = get_int(env, arguments[2], &to)) || (error = get_int64(env, arguments[3], &to_offset)) ||
      (error = get_int64(env, arguments[4], &length)))
    return answer(env, error);
  int64_t done = 0;
  while (done < length) {
    loff_t in = from_offset + done, out = to_offset + done;
    ssize_t count = copy_file_range(from, &in, to, &out, (size_t)(length - done), 0);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && (errno == ENOSPC || errno == EDQUOT || errno == EIO || errno == EFBIG)) return answer(env, -errno);
    // 0 is the end of the file, or one of those in /proc and /sys that only read(2) fills.
    if (count <= 0) break;
    done += count;
  }
  if (done < length) {
    int64_t rest = copy_by_hand(from, from_offset + done, to, to_offset + done, length - done);
    if (rest < 0) return answer(env, rest);
    done += rest;
  }
  return answer(env, done);
}

napi_value native_clone_file(napi_env env, napi_callback_info info) {
  napi_value arguments[2];
  call_arguments(env, info, 2, arguments);
  int from, to, error;
  if ((error = get_int(env, arguments[0], &from)) || (error = get_int(env, arguments[1], &to))) return answer(env, error);
  return answer_call(env, ioctl(to, FICLONE, from));
}
