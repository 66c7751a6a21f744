// /proc, /dev and /sys as Docker sets them up, with its masked and read-only paths.
#define _GNU_SOURCE
#include "pseudo.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "../common/kernel.h"
#include "failure.h"
#include "file-system.h"

static const char *const masked_proc[] = {
    "acpi", "asound", "interrupts", "kcore", "keys", "latency_stats", "sched_debug", "scsi", "timer_list", "timer_stats", NULL,
};
static const char *const readonly_proc[] = {"bus", "fs", "irq", "sys", "sysrq-trigger", NULL};
static const char *const masked_sys[] = {"firmware", "devices/virtual/powercap", NULL};

static int open_below(int directory, const char *name) {
  return k_openat2(directory, name, O_PATH, K_RESOLVE_IN_ROOT | K_RESOLVE_NO_SYMLINKS | K_RESOLVE_NO_MAGICLINKS);
}

// A directory at the top of the root where a link of the image would move what we mount.
static int open_mount_point(int root, const char *name) {
  int fd = k_openat2(root, name, O_PATH | O_DIRECTORY, K_RESOLVE_IN_ROOT | K_RESOLVE_NO_SYMLINKS);
  if (fd < 0) step_fail(errno, "open /%s", name);
  return fd;
}

static void attach_file_system(int mount, int directory, const char *name) {
  int at = open_mount_point(directory, name);
  if (k_move_mount(mount, at, "") < 0) step_fail(errno, "mount /%s", name);
  close(at);
}

static int open_device(const char *path, unsigned major_number, unsigned minor_number) {
  int fd = open(path, O_PATH | O_CLOEXEC);
  struct stat status;
  if (fd < 0) return -1;
  // What is bound in must be the device itself, whatever lies at its path.
  if (fstat(fd, &status) == 0 && S_ISCHR(status.st_mode) && status.st_rdev == makedev(major_number, minor_number)) return fd;
  close(fd);
  return errno = ENODEV, -1;
}

// A detached mount of a character device. Its inode is a private one where we may make it; else it is the host's, and then
// nothing of it (mode, owner, times) can be changed through the mount. Writing to the device is not writing to the mount.
static int open_device_tree(const struct executor_config *config, const char *name, unsigned major_number, unsigned minor_number, unsigned attributes) {
  char path[64];
  snprintf(path, sizeof path, "/dev/%s", name);
  bool made = !config->rootless && (mknodat(config->files, name, S_IFCHR | 0666, makedev(major_number, minor_number)) == 0 || errno == EEXIST);
  int device = made ? open_below(config->files, name) : open_device(path, major_number, minor_number);
  if (device < 0) step_fail(errno, "open %s", path);
  int tree = k_open_tree(device, "", false);
  attributes |= K_ATTR_NOSUID | K_ATTR_NOEXEC | (made ? 0 : K_ATTR_RDONLY);
  if (tree < 0 || k_mount_setattr(tree, attributes, false) < 0) step_fail(errno, "bind %s", path);
  close(device);
  return tree;
}

static void mask(const struct executor_config *config, int file_system, const char *const *names) {
  for (; *names; names++) {
    int at = open_below(file_system, *names);
    struct stat status;
    if (at < 0) continue; // this kernel has no such file
    if (fstat(at, &status) < 0) step_fail(errno, "mask %s", *names);
    int cover;
    if (S_ISDIR(status.st_mode)) {
      static const char *const options[] = {"size", "4k", NULL};
      // One tmpfs a masked directory: a clone of a mount that is nowhere attached is refused by older kernels.
      cover = make_file_system("tmpfs", K_ATTR_RDONLY | K_ATTR_NOSUID | K_ATTR_NODEV | K_ATTR_NOEXEC, options);
    } else {
      cover = open_device_tree(config, "null", 1, 3, K_ATTR_RDONLY);
    }
    if (k_move_mount(cover, at, "") < 0) step_fail(errno, "mask %s", *names);
    close(cover);
    close(at);
  }
}

// Recursively, as the visible /proc and /sys have locked mounts below.
static void make_readonly(int file_system, const char *const *names) {
  for (; *names; names++) {
    int at = open_below(file_system, *names);
    if (at < 0) continue;
    int tree = k_open_tree(at, "", true);
    if (tree < 0 || k_mount_setattr(tree, K_ATTR_RDONLY, true) < 0 || k_move_mount(tree, at, "") < 0) step_fail(errno, "make %s read-only", *names);
    close(tree);
    close(at);
  }
}

// A detached clone of what is mounted here at `path`, with all that covers parts of it: those mounts are locked.
static int clone_visible(const char *path, unsigned attributes) {
  int visible = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
  int tree = visible < 0 ? -1 : k_open_tree(visible, "", true);
  if (tree < 0 || k_mount_setattr(tree, attributes, true) < 0) step_fail(errno, "bind %s", path);
  close(visible);
  return tree;
}

// The kernel refuses a new /proc or /sys to a user namespace that sees only a covered one (a container): EPERM.
static int make_or_show(const struct executor_config *config, const char *type, const char *path, unsigned attributes, bool *shown) {
  int mount = make_file_system_if_allowed(type, attributes);
  *shown = mount < 0 && errno == EPERM && config->rootless;
  if (*shown) return clone_visible(path, attributes);
  if (mount < 0) step_fail(errno, "mount %s", type);
  return mount;
}

void mount_proc(struct executor_config *config, int root, bool insecure) {
  int proc = make_or_show(config, "proc", "/proc", K_ATTR_NOSUID | K_ATTR_NODEV | K_ATTR_NOEXEC, &config->shows_outer_proc);
  attach_file_system(proc, root, "proc");
  if (!insecure) {
    make_readonly(proc, readonly_proc);
    mask(config, proc, masked_proc);
  }
  close(proc);
}

static void add_device(const struct executor_config *config, int dev, const char *name, unsigned major_number, unsigned minor_number) {
  if (!config->nodev && mknodat(dev, name, S_IFCHR | 0666, makedev(major_number, minor_number)) == 0) return;
  int tree = open_device_tree(config, name, major_number, minor_number, 0);
  if (mknodat(dev, name, S_IFREG | 0644, 0) < 0) step_fail(errno, "make /dev/%s", name);
  int at = open_below(dev, name);
  if (at < 0 || k_move_mount(tree, at, "") < 0) step_fail(errno, "bind /dev/%s", name);
  close(at);
  close(tree);
}

static void add_below_dev(int dev, const char *name, const char *type, unsigned attributes, const char *const *options) {
  if (mkdirat(dev, name, 0755) < 0) step_fail(errno, "make /dev/%s", name);
  int mount = make_file_system(type, attributes, options);
  attach_file_system(mount, dev, name);
  close(mount);
}

void mount_dev(struct executor_config *config, const struct step_spec *step, int root) {
  static const char *const options[] = {"mode", "0755", "size", "64m", NULL};
  // The group of terminals is 5 wherever there is more than one id.
  static const char *const pts[] = {"newinstance", "", "ptmxmode", "0666", "mode", "0620", "gid", "5", NULL};
  static const char *const pts_single[] = {"newinstance", "", "ptmxmode", "0666", "mode", "0620", NULL};
  static const struct {
    const char *name;
    unsigned major_number, minor_number;
  } devices[] = {{"null", 1, 3}, {"zero", 1, 5}, {"full", 1, 7}, {"random", 1, 8}, {"urandom", 1, 9}, {"tty", 5, 0}};
  static const char *const links[][2] = {
      {"/proc/self/fd", "fd"},         {"/proc/self/fd/0", "stdin"}, {"/proc/self/fd/1", "stdout"},
      {"/proc/self/fd/2", "stderr"},   {"pts/ptmx", "ptmx"},
  };
  int dev = make_file_system("tmpfs", K_ATTR_NOSUID | config->nodev, options);
  attach_file_system(dev, root, "dev");
  for (size_t i = 0; i < sizeof devices / sizeof *devices; i++) add_device(config, dev, devices[i].name, devices[i].major_number, devices[i].minor_number);
  // Opened while nothing of the step lies here: what it mounts over /dev may hold a link to a descriptor in its place.
  if ((config->input = k_openat2(dev, "null", O_RDONLY, K_RESOLVE_BENEATH | K_RESOLVE_NO_SYMLINKS)) < 0) step_fail(errno, "open /dev/null");
  for (size_t i = 0; i < sizeof links / sizeof *links; i++)
    if (symlinkat(links[i][0], dev, links[i][1]) < 0) step_fail(errno, "make /dev/%s", links[i][1]);
  char size[32];
  snprintf(size, sizeof size, "%llu", (unsigned long long)(step->shm_size ? step->shm_size : 64u << 20));
  // As runc names it.
  const char *shm[] = {"source", "shm", "mode", "1777", "size", size, NULL};
  if (!brings_mount(step, "/dev/pts")) add_below_dev(dev, "pts", "devpts", K_ATTR_NOSUID | K_ATTR_NOEXEC, config->single_id ? pts_single : pts);
  if (!brings_mount(step, "/dev/shm")) add_below_dev(dev, "shm", "tmpfs", K_ATTR_NOSUID | K_ATTR_NODEV | K_ATTR_NOEXEC, shm);
  if (!brings_mount(step, "/dev/mqueue")) add_below_dev(dev, "mqueue", "mqueue", K_ATTR_NOSUID | K_ATTR_NODEV | K_ATTR_NOEXEC, NULL);
  close(dev);
}

static void mount_cgroup(int sys) {
  struct statfs status;
  // Only where the host has the unified hierarchy: a v2 tree beside v1 controllers would mislead whoever reads limits.
  if (statfs("/sys/fs/cgroup", &status) < 0 || status.f_type != K_CGROUP2_MAGIC) return;
  int at = open_below(sys, "fs/cgroup");
  if (at < 0) return;
  int cgroup = make_file_system("cgroup2", K_ATTR_RDONLY | K_ATTR_NOSUID | K_ATTR_NODEV | K_ATTR_NOEXEC, NULL);
  if (k_move_mount(cgroup, at, "") < 0) step_fail(errno, "mount /sys/fs/cgroup");
  close(cgroup);
  close(at);
}

void mount_sys(const struct executor_config *config, int root, bool insecure, bool own_network, bool limited) {
  unsigned attributes = K_ATTR_NOSUID | K_ATTR_NODEV | K_ATTR_NOEXEC | (insecure ? 0 : K_ATTR_RDONLY);
  // A new sysfs belongs to the owner of the network namespace: where that is the host, its tree is shown instead.
  bool shown = config->rootless && !own_network;
  int sys = shown ? clone_visible("/sys", attributes) : make_or_show(config, "sysfs", "/sys", attributes, &shown);
  attach_file_system(sys, root, "sys");
  if (!insecure) mask(config, sys, masked_sys);
  // What is shown of cgroups is the machine's; who is limited looks there for its limits, as the JVM does.
  if (!shown || limited) mount_cgroup(sys);
  close(sys);
}
