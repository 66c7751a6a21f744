// What the kernel offers to confine the process for file jobs; `native/launcher/confine.c` uses it.
#include "call.h"

#include <sys/syscall.h>
#include <unistd.h>

// landlock_create_ruleset has one number on every architecture; the flag asks for the version alone.
enum { NR_landlock_create_ruleset = 444, QUERY_VERSION = 1 };

napi_value native_landlock_version(napi_env env, napi_callback_info info) {
  return answer_call(env, syscall(NR_landlock_create_ruleset, NULL, 0, QUERY_VERSION));
}
