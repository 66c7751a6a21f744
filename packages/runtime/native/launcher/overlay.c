// Overlay mounts, one `lowerdir+` a layer, so that 500 layers fit (mount(2) cuts its options at a page).
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "kernel.h"
#include "step.h"

#define OVERLAY_LIMIT 500
// fsconfig copies at most this much of a string.
#define FSCONFIG_STRING 255

// Reads what the kernel says about a refused option or mount; it is worth more than the errno.
static const char *kernel_log(int context) {
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
  k_fsconfig(context, K_FSCONFIG_SET_STRING, "source", type, 0); // only what mountinfo shows
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

static size_t common_directory(const char *a, const char *b, size_t length) {
  size_t same = 0, slash = 0;
  while (same < length && a[same] && a[same] == b[same]) {
    if (a[same] == '/') slash = same + 1;
    same++;
  }
  return slash;
}

// Paths are handed over relative to the deepest directory that holds them all: they stay short, and a step that reads
// its mountinfo does not learn where the store lies.
static size_t enter_common_directory(const struct strings *lowers, const char *upper, const char *work) {
  const char *first = lowers->count ? lowers->items[0] : upper;
  size_t length = strlen(first);
  for (size_t i = 0; i < lowers->count; i++) length = common_directory(first, lowers->items[i], length);
  if (upper) length = common_directory(first, upper, length);
  if (work) length = common_directory(first, work, length);
  char directory[PATH_MAX];
  if (length == 0 || length >= sizeof directory) step_fail(EINVAL, "overlay: a layer has no absolute path");
  memcpy(directory, first, length);
  directory[length] = 0;
  if (chdir(directory) < 0) step_fail(errno, "overlay: enter %s", directory);
  return length;
}

static int set_path(int context, const char *key, const char *path) {
  if (strlen(path) <= FSCONFIG_STRING) return k_fsconfig(context, K_FSCONFIG_SET_STRING, key, path, 0);
  int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return -1;
  int result = k_fsconfig(context, K_FSCONFIG_SET_FD, key, NULL, fd);
  int error = errno;
  close(fd);
  errno = error;
  return result;
}

static void set_options(int context, const struct executor_config *config, bool writable) {
  // Without these an upper directory is no plain difference, and a layer could redirect a directory elsewhere.
  static const char *const options[][2] = {{"redirect_dir", "nofollow"}, {"metacopy", "off"}, {"index", "off"}, {"xino", "off"}};
  for (size_t i = 0; i < sizeof options / sizeof *options; i++)
    if (k_fsconfig(context, K_FSCONFIG_SET_STRING, options[i][0], options[i][1], 0) < 0)
      step_fail(errno, "overlay: %s=%s %s", options[i][0], options[i][1], kernel_log(context));
  if (writable && k_fsconfig(context, K_FSCONFIG_SET_FLAG, "volatile", NULL, 0) < 0) step_fail(errno, "overlay: volatile");
  if (config->rootless && k_fsconfig(context, K_FSCONFIG_SET_FLAG, "userxattr", NULL, 0) < 0) step_fail(errno, "overlay: userxattr");
}

static void append(char *text, size_t *length, const char *more, bool escape) {
  for (; *more; more++) {
    if (*length + 2 >= 4095) step_fail(E2BIG, "overlay: too many layers for this kernel (Linux 6.7 takes 500)");
    if (escape && strchr(":,\\", *more)) text[(*length)++] = '\\';
    text[(*length)++] = *more;
  }
  text[*length] = 0;
}

// Before Linux 6.7 there is no `lowerdir+`: one string of at most a page, by mount(2).
static int mount_joined(const struct executor_config *config, const struct strings *lowers, size_t prefix, const char *upper,
                        const char *work, const char *at) {
  char text[4096] = "";
  size_t length = 0;
  append(text, &length, "redirect_dir=nofollow,metacopy=off,index=off,xino=off,lowerdir=", false);
  for (size_t i = 0; i < lowers->count; i++) {
    if (i) append(text, &length, ":", false);
    append(text, &length, lowers->items[i] + prefix, true);
  }
  if (upper) {
    append(text, &length, ",upperdir=", false);
    append(text, &length, upper + prefix, true);
    append(text, &length, ",workdir=", false);
    append(text, &length, work + prefix, true);
    append(text, &length, ",volatile", false);
  }
  if (config->rootless) append(text, &length, ",userxattr", false);
  if (mount("overlay", at, "overlay", MS_NODEV, text) < 0) step_fail(errno, "mount overlay");
  int root = open(at, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (root < 0) step_fail(errno, "open the overlay");
  return root;
}

int mount_overlay(const struct executor_config *config, const struct strings *lowers, const char *upper, const char *work, const char *at) {
  if (lowers->count > OVERLAY_LIMIT)
    step_fail(E2BIG, "overlay: %zu layers, the kernel's limit is %d", lowers->count, OVERLAY_LIMIT);
  size_t prefix = enter_common_directory(lowers, upper, work);
  int context = k_fsopen("overlay");
  if (context < 0) step_fail(errno, "mount overlay");
  k_fsconfig(context, K_FSCONFIG_SET_STRING, "source", "overlay", 0);
  for (size_t i = 0; i < lowers->count; i++) {
    if (set_path(context, "lowerdir+", lowers->items[i] + prefix) == 0) continue;
    int error = errno;
    const char *said = kernel_log(context);
    if (i == 0 && error == EINVAL && (!*said || strstr(said, "Unknown parameter"))) {
      close(context);
      return mount_joined(config, lowers, prefix, upper, work, at);
    }
    step_fail(error, "overlay: layer %s %s", lowers->items[i], said);
  }
  if (upper && (set_path(context, "upperdir", upper + prefix) < 0 || set_path(context, "workdir", work + prefix) < 0))
    step_fail(errno, "overlay: upper %s %s", upper, kernel_log(context));
  set_options(context, config, upper != NULL);
  if (k_fsconfig(context, K_FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0) {
    int error = errno;
    step_fail(error, "mount overlay %s", kernel_log(context));
  }
  // Device nodes of a layer must not open; those in /dev lie on a file system of their own.
  int root = k_fsmount(context, K_ATTR_NODEV);
  if (root < 0 || k_move_mount(root, AT_FDCWD, at) < 0) step_fail(errno, "attach the overlay");
  close(context);
  return root;
}
