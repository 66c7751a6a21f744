// A file system in a file, mounted through a loop device and attached nowhere: it lives as long as a descriptor of it does, and a
// kill leaves neither mount nor device.
#define _GNU_SOURCE
#include "call.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../common/kernel.h"

#ifndef LOOP_CONFIGURE
#define LOOP_CONFIGURE 0x4C0A
struct loop_config {
  uint32_t fd, block_size;
  struct loop_info64 info;
  uint64_t reserved[8];
};
#endif

// Other programs take free devices as well.
#define ATTEMPTS 64
#define LOOP_NUMBERS (1u << 20)

struct attempt {
  int scratch;            // a directory of ours for a device node of a moment
  const char *operation;  // what failed
};

static int open_node(struct attempt *attempt, unsigned number) {
  char text[64], name[48];
  // Numbers of devices are no numbers of nodes where the module has partitions.
  snprintf(text, sizeof text, "/sys/block/loop%u/dev", number);
  unsigned major_number = 7, minor_number = number;
  int fd = open(text, O_RDONLY | O_CLOEXEC);
  ssize_t length = fd < 0 ? 0 : read(fd, text, sizeof text - 1);
  if (fd >= 0) close(fd);
  if (length > 0) {
    char *end;
    text[length] = 0;
    major_number = (unsigned)strtoul(text, &end, 10);
    if (*end == ':') minor_number = (unsigned)strtoul(end + 1, NULL, 10);
  }
  // A container has the nodes of the devices that were there when it began, so one is made for the moment.
  snprintf(name, sizeof name, "loop-%d-%u", (int)getpid(), number);
  unlinkat(attempt->scratch, name, 0);
  attempt->operation = "make a node of the loop device";
  int device = -1;
  if (k_mknodat(attempt->scratch, name, S_IFBLK | 0600, major_number, minor_number) == 0) {
    device = openat(attempt->scratch, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    int error = errno;
    unlinkat(attempt->scratch, name, 0);
    errno = error;
  }
  if (device >= 0) return device;
  attempt->operation = "open the loop device";
  snprintf(text, sizeof text, "/dev/loop%u", number);
  return open(text, O_RDWR | O_CLOEXEC);
}

static bool holds(int device, const struct stat *image) {
  struct loop_info64 info;
  return ioctl(device, LOOP_GET_STATUS64, &info) == 0 && info.lo_inode == image->st_ino && info.lo_device == image->st_dev && info.lo_offset == 0;
}

// The device that has the image already: a second one would be a second cache of the same blocks. While it is open here nothing takes
// it from its file.
static int find_device(struct attempt *attempt, const struct stat *image) {
  int directory = open("/sys/block", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0) return -1;
  char buffer[8192] __attribute__((aligned(8)));
  ssize_t length;
  int found = -1;
  while (found < 0 && (length = k_getdents(directory, buffer, sizeof buffer)) > 0) {
    for (ssize_t at = 0; at < length && found < 0; at += ((struct kernel_dirent *)(buffer + at))->size) {
      const char *name = ((struct kernel_dirent *)(buffer + at))->name;
      char path[64], *end;
      if (strncmp(name, "loop", 4)) continue;
      unsigned long number = strtoul(name + 4, &end, 10);
      if (end == name + 4 || *end || number >= LOOP_NUMBERS) continue;
      snprintf(path, sizeof path, "/sys/block/loop%lu/loop/backing_file", number);
      if (access(path, F_OK) < 0) continue;
      int device = open_node(attempt, (unsigned)number);
      if (device >= 0 && holds(device, image)) found = device;
      else if (device >= 0) close(device);
    }
  }
  close(directory);
  return found;
}

static int take_device(struct attempt *attempt, int image) {
  attempt->operation = "open /dev/loop-control";
  int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
  int device = -1;
  for (int tries = 0; control >= 0 && tries < ATTEMPTS && device < 0; tries++) {
    attempt->operation = "find a free loop device";
    int number = ioctl(control, LOOP_CTL_GET_FREE);
    if (number < 0) break;
    device = open_node(attempt, (unsigned)number);
    if (device < 0) break;
    struct loop_config config = {.fd = (uint32_t)image, .info = {.lo_flags = LO_FLAGS_AUTOCLEAR}};
    attempt->operation = "give the loop device its file";
    if (ioctl(device, LOOP_CONFIGURE, &config) == 0) break;
    int error = errno;
    close(device);
    device = -1;
    errno = error;
    if (error != EBUSY) break;
  }
  int error = errno;
  if (control >= 0) close(control);
  errno = error;
  return device;
}

static int mount_device(struct attempt *attempt, int device) {
  char source[32];
  proc_path(source, sizeof source, device, "");
  attempt->operation = "mount the image";
  int context = k_fsopen("ext4");
  if (context < 0) return -1;
  int mount = -1;
  // What a crash of the machine leaves is thrown away, so nothing need reach the disk in any order.
  if (k_fsconfig(context, K_FSCONFIG_SET_STRING, "source", source, 0) == 0 && k_fsconfig(context, K_FSCONFIG_SET_FLAG, "nobarrier", NULL, 0) == 0 &&
      k_fsconfig(context, K_FSCONFIG_SET_STRING, "errors", "remount-ro", 0) == 0 && k_fsconfig(context, K_FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0)
    mount = k_fsmount(context, K_ATTR_NOATIME);
  int error = errno;
  close(context);
  errno = error;
  return mount;
}

// image, scratch (descriptors) -> a descriptor of the mounted root, or [-errno, operation].
napi_value native_mount_image(napi_env env, napi_callback_info info) {
  napi_value arguments[2];
  call_arguments(env, info, 2, arguments);
  int image, error;
  struct attempt attempt = {.operation = "look at the image"};
  struct stat status;
  if ((error = get_int(env, arguments[0], &image)) || (error = get_int(env, arguments[1], &attempt.scratch))) return answer(env, error);
  int device = -1, mount = -1;
  if (k_fstat(image, &status) == 0) {
    device = find_device(&attempt, &status);
    if (device < 0) device = take_device(&attempt, image);
    if (device >= 0) mount = mount_device(&attempt, device);
  }
  error = errno;
  // The mount holds it from now on.
  if (device >= 0) close(device);
  if (mount >= 0) return answer(env, mount);
  return answer_failure(env, -error, attempt.operation, strlen(attempt.operation));
}

// Whether a loop device has this image.
napi_value native_is_image_mounted(napi_env env, napi_callback_info info) {
  napi_value arguments[2];
  call_arguments(env, info, 2, arguments);
  int image, error;
  struct attempt attempt = {0};
  struct stat status;
  if ((error = get_int(env, arguments[0], &image)) || (error = get_int(env, arguments[1], &attempt.scratch))) return answer(env, error);
  if (k_fstat(image, &status) < 0) return answer_call(env, -1);
  int device = find_device(&attempt, &status);
  if (device >= 0) close(device);
  return answer(env, device >= 0);
}

// Gives what a file system does not use back to what lies below it.
napi_value native_trim(napi_env env, napi_callback_info info) {
  napi_value argument;
  call_arguments(env, info, 1, &argument);
  int fd, error;
  if ((error = get_int(env, argument, &fd))) return answer(env, error);
  struct fstrim_range range = {.len = UINT64_MAX};
  return answer_call(env, ioctl(fd, FITRIM, &range));
}
