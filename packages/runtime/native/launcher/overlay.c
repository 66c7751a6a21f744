// Overlay mounts, one `lowerdir+` a layer, so that 500 layers fit (mount(2) cuts its options at a page).
#define _GNU_SOURCE
#include "overlay.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "../common/kernel.h"
#include "failure.h"
#include "file-system.h"

#define OVERLAY_LIMIT 500

// The kernel shows the text of these options to whoever reads mountinfo, so a step would learn where the store lies. It is
// given links in the step's private tmpfs, which is the current directory meanwhile: "1", "2", … Short, too: fsconfig takes
// 255 bytes, and mount(2) a page for all layers.
static void name_directory(const struct executor_config *config, const char *path, char name[12]) {
  static unsigned number;
  snprintf(name, 12, "%u", ++number);
  if (path[0] != '/') step_fail(EINVAL, "overlay: %s is not absolute", path);
  if (symlinkat(path, config->files, name) < 0) step_fail(errno, "overlay: name %s", path);
}

static int set_path(const struct executor_config *config, int context, const char *key, const char *path) {
  char name[12];
  name_directory(config, path, name);
  return k_fsconfig(context, K_FSCONFIG_SET_STRING, key, name, 0);
}

// Gives the options one by one and creates. NULL when the kernel took all; else which one it refused, and errno.
static const char *configure(const struct executor_config *config, int context, const struct strings *lowers, const char *upper, const char *work) {
  // Without these an upper directory is no plain difference, and a layer could redirect a directory elsewhere.
  static const char *const options[][2] = {{"redirect_dir", "nofollow"}, {"metacopy", "off"}, {"index", "off"}, {"xino", "off"}};
  k_fsconfig(context, K_FSCONFIG_SET_STRING, "source", "overlay", 0); // only what mountinfo shows
  for (size_t i = 0; i < lowers->count; i++)
    if (set_path(config, context, "lowerdir+", lowers->items[i]) < 0) return lowers->items[i];
  if (upper && (set_path(config, context, "upperdir", upper) < 0 || set_path(config, context, "workdir", work) < 0)) return upper;
  for (size_t i = 0; i < sizeof options / sizeof *options; i++)
    if (k_fsconfig(context, K_FSCONFIG_SET_STRING, options[i][0], options[i][1], 0) < 0) return options[i][0];
  if (upper && k_fsconfig(context, K_FSCONFIG_SET_FLAG, "volatile", NULL, 0) < 0) return "volatile";
  if (config->rootless && k_fsconfig(context, K_FSCONFIG_SET_FLAG, "userxattr", NULL, 0) < 0) return "userxattr";
  return k_fsconfig(context, K_FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0 ? "the mount" : NULL;
}

// Linux 6.5 and 6.6 say that they do not know `lowerdir+`. An older overlay has its options kept as text by the kernel, which
// takes any, until the text is too long or the mount finds out: EINVAL without a word. Such a context takes no descriptors.
static bool lacks_single_layers(int context, int error, const char *said) {
  if (error != EINVAL) return false;
  if (strstr(said, "Unknown parameter")) return true;
  return k_fsconfig(context, K_FSCONFIG_SET_FD, "source", NULL, context) < 0 && errno == EOPNOTSUPP;
}

static void append(char *text, const char *more) {
  size_t length = strlen(text);
  if (length + strlen(more) >= 4095) step_fail(E2BIG, "overlay: too many layers for this kernel (Linux 6.7 takes 500)");
  strcpy(text + length, more);
}

static void append_path(const struct executor_config *config, char *text, const char *key, const char *path) {
  char name[12];
  name_directory(config, path, name);
  append(text, key);
  append(text, name);
}

// Before Linux 6.7 there is no `lowerdir+`: one string of at most a page, by mount(2).
static int mount_joined(const struct executor_config *config, const struct strings *lowers, const char *upper, const char *work, const char *at) {
  char text[4096] = "redirect_dir=nofollow,metacopy=off,index=off,xino=off";
  for (size_t i = 0; i < lowers->count; i++) append_path(config, text, i ? ":" : ",lowerdir=", lowers->items[i]);
  if (upper) {
    append_path(config, text, ",upperdir=", upper);
    append_path(config, text, ",workdir=", work);
    append(text, ",volatile");
  }
  if (config->rootless) append(text, ",userxattr");
  if (mount("overlay", at, "overlay", config->nodev ? MS_NODEV : 0, text) < 0) step_fail(errno, "mount overlay");
  int root = open(at, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (root < 0) step_fail(errno, "open the overlay");
  return root;
}

int mount_overlay(const struct executor_config *config, const struct strings *lowers, const char *upper, const char *work, const char *at) {
  if (lowers->count > OVERLAY_LIMIT)
    step_fail(E2BIG, "overlay: %zu layers, the kernel's limit is %d", lowers->count, OVERLAY_LIMIT);
  if (fchdir(config->files) < 0) step_fail(errno, "overlay: enter a tmpfs");
  int context = k_fsopen("overlay");
  if (context < 0) step_fail(errno, "mount overlay");
  const char *refused = configure(config, context, lowers, upper, work);
  if (refused) {
    int error = errno;
    const char *said = kernel_log(context);
    if (!lacks_single_layers(context, error, said)) step_fail(error, "mount overlay: %s: %s", refused, said);
    close(context);
    return mount_joined(config, lowers, upper, work, at);
  }
  int root = k_fsmount(context, config->nodev);
  if (root < 0 || k_move_mount(root, AT_FDCWD, at) < 0) step_fail(errno, "attach the overlay");
  close(context);
  return root;
}
