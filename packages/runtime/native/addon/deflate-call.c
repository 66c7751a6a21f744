// Deflate on a thread of the pool; the caller gets a promise.
#include "call.h"

#include <stdlib.h>

#include "deflate.h"

struct job {
  napi_async_work work;
  napi_deferred deferred;
  // Keep the two buffers alive meanwhile.
  napi_ref input, output;
  const uint8_t *data;
  size_t length, window, room;
  uint8_t *target;
  bool is_last;
  int64_t result;
};

static void execute(napi_env env, void *data) {
  struct job *job = data;
  job->result = deflate_block(job->data, job->length, job->window, job->is_last, job->target, job->room);
}

static void complete(napi_env env, napi_status status, void *data) {
  struct job *job = data;
  napi_resolve_deferred(env, job->deferred, answer(env, status == napi_ok ? job->result : -ECANCELED));
  napi_delete_reference(env, job->input);
  napi_delete_reference(env, job->output);
  napi_delete_async_work(env, job->work);
  free(job);
}

// (input, offset, length, window, output, isLast): a promise of the size or -errno; -errno at once for bad arguments.
napi_value native_deflate_block(napi_env env, napi_callback_info info) {
  napi_value arguments[6], promise = NULL, name = NULL;
  call_arguments(env, info, 6, arguments);
  void *input, *output;
  size_t input_size, room;
  int64_t offset, length, window;
  bool is_last;
  int error;
  if ((error = get_bytes(env, arguments[0], &input, &input_size)) || (error = get_int64(env, arguments[1], &offset)) || (error = get_int64(env, arguments[2], &length)) || (error = get_int64(env, arguments[3], &window)) ||
      (error = get_bytes(env, arguments[4], &output, &room)))
    return answer(env, error);
  if (napi_get_value_bool(env, arguments[5], &is_last) != napi_ok) return answer(env, -EINVAL);
  if (offset < 0 || length < 0 || window < 0 || window > offset || (uint64_t)offset > input_size || (uint64_t)length > input_size - (uint64_t)offset) return answer(env, -EINVAL);
  struct job *job = calloc(1, sizeof *job);
  if (job == NULL) return answer(env, -ENOMEM);
  job->data = (const uint8_t *)input + offset;
  job->length = (size_t)length;
  job->window = (size_t)window;
  job->target = output;
  job->room = room;
  job->is_last = is_last;
  if (napi_create_reference(env, arguments[0], 1, &job->input) == napi_ok && napi_create_reference(env, arguments[4], 1, &job->output) == napi_ok && napi_create_promise(env, &job->deferred, &promise) == napi_ok &&
      napi_create_string_latin1(env, "deflate", NAPI_AUTO_LENGTH, &name) == napi_ok && napi_create_async_work(env, NULL, name, execute, complete, job, &job->work) == napi_ok && napi_queue_async_work(env, job->work) == napi_ok)
    return promise;
  // Nothing runs: whoever waits for the promise would wait for ever, so it is not given away.
  if (job->work != NULL) napi_delete_async_work(env, job->work);
  if (job->output != NULL) napi_delete_reference(env, job->output);
  if (job->input != NULL) napi_delete_reference(env, job->input);
  free(job);
  return answer(env, -ENOMEM);
}

napi_value native_deflate_bound(napi_env env, napi_callback_info info) {
  napi_value arguments[1];
  int64_t length;
  call_arguments(env, info, 1, arguments);
  int error = get_int64(env, arguments[0], &length);
  return answer(env, error != 0 ? error : length < 0 ? -EINVAL : (int64_t)deflate_bound((size_t)length));
}
