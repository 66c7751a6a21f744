#define _GNU_SOURCE
#include "file-system.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "../common/kernel.h"
#include "failure.h"

const char *kernel_log(int context) {
  static char text[256];
  ssize_t length = read(context, text, sizeof text - 1);
  if (length <= 2) return "";
  text[length] = 0;
  char *end = strchr(text, '\n');
  if (end) *end = 0;
  return text + 2; // "e message": a letter for the level and a blank
}

int make_file_system(const char *type, unsigned attributes, const char *const *options) {
  int context = k_fsopen(type);
  if (context < 0) step_fail(errno, "mount %s", type);
  // Only what mountinfo shows; an option may say another.
  if (!options || !options[0] || strcmp(options[0], "source")) k_fsconfig(context, K_FSCONFIG_SET_STRING, "source", type, 0);
  for (; options && options[0]; options += 2) {
    bool flag = options[1][0] == 0;
    // An option that this kernel does not know (noswap) is a wish; what must hold is checked by the mount itself.
    if (k_fsconfig(context, flag ? K_FSCONFIG_SET_FLAG : K_FSCONFIG_SET_STRING, options[0], flag ? NULL : options[1], 0) < 0 && !flag)
      step_fail(errno, "mount %s: %s=%s %s", type, options[0], options[1], kernel_log(context));
  }
  if (k_fsconfig(context, K_FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0) {
    int error = errno;
    step_fail(error, "mount %s %s", type, kernel_log(context));
  }
  int mount = k_fsmount(context, attributes);
  if (mount < 0) step_fail(errno, "mount %s", type);
  close(context);
  return mount;
}

int make_file_system_if_allowed(const char *type, unsigned attributes) {
  int context = k_fsopen(type);
  if (context < 0) return -1;
  k_fsconfig(context, K_FSCONFIG_SET_STRING, "source", type, 0); // only what mountinfo shows
  int mount = k_fsconfig(context, K_FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0 ? -1 : k_fsmount(context, attributes);
  int error = errno;
  close(context);
  return errno = error, mount;
}
