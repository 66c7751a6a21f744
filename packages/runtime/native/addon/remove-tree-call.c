#include "call.h"

#include "../common/remove-tree.h"

napi_value native_remove_tree(napi_env env, napi_callback_info info) {
  napi_value arguments[2];
  call_arguments(env, info, 2, arguments);
  struct text name;
  struct removal_stop stop;
  int directory, error;
  if ((error = get_int(env, arguments[0], &directory)) || (error = get_name(env, arguments[1], &name))) return answer(env, error);
  if (remove_tree_at(directory, name.bytes, &stop) == 0) return answer(env, 0);
  return answer_failure(env, -errno, stop.path, stop.length);
}
