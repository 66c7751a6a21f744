#define _GNU_SOURCE
#include "chroot-root.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "../common/kernel.h"
#include "failure.h"
#include "proc-places.h"

static void fill_dev(int dev) {
  static const struct {
    const char *name;
    unsigned major_number, minor_number;
  } devices[] = {{"null", 1, 3}, {"zero", 1, 5}, {"full", 1, 7}, {"random", 1, 8}, {"urandom", 1, 9}, {"tty", 5, 0}};
  static const char *const links[][2] = {
      {"/proc/self/fd", "fd"}, {"/proc/self/fd/0", "stdin"}, {"/proc/self/fd/1", "stdout"}, {"/proc/self/fd/2", "stderr"},
  };
  for (size_t i = 0; i < sizeof devices / sizeof *devices; i++)
    if (mknodat(dev, devices[i].name, S_IFCHR | 0666, makedev(devices[i].major_number, devices[i].minor_number)) < 0) step_fail(errno, "make /dev/%s", devices[i].name);
  for (size_t i = 0; i < sizeof links / sizeof *links; i++)
    if (symlinkat(links[i][0], dev, links[i][1]) < 0) step_fail(errno, "make /dev/%s", links[i][1]);
  if (mkdirat(dev, "shm", 01777) < 0 || mkdirat(dev, "mqueue", 01777) < 0) step_fail(errno, "make /dev/shm");
}

// Where the object below a source lies: links stay inside the source, and what is moved is named without any.
static void find_source(const struct mount_spec *mount, char path[PATH_MAX]) {
  char name[64];
  int base = open(mount->source, O_PATH | O_NOFOLLOW | O_CLOEXEC);
  if (base < 0) step_fail(errno, "mount %s: source %s", mount->target, mount->source);
  int inside = mount->subpath && *mount->subpath ? k_openat2(base, mount->subpath, O_PATH, K_RESOLVE_IN_ROOT | K_RESOLVE_NO_MAGICLINKS) : base;
  if (inside < 0) step_fail(errno, "mount %s: source %s", mount->target, mount->subpath);
  snprintf(name, sizeof name, "/proc/self/fd/%d", inside);
  ssize_t length = readlink(name, path, PATH_MAX - 1);
  if (length < 0) step_fail(errno, "mount %s: source %s", mount->target, mount->source);
  path[length] = 0;
  if (inside != base) close(inside);
  close(base);
}

static void put_mount(struct moved_tree *tree, const struct mount_spec *mount) {
  char source[PATH_MAX];
  switch (mount->kind) {
  case MOUNT_BIND:
    find_source(mount, source);
    put_moved(tree, mount->target, source);
    return;
  case MOUNT_TMPFS: close(put_directory(tree, mount->target, mount->mode == MODE_OF_TARGET ? 0 : mount->mode)); return;
  case MOUNT_SECRET: close(put_secret(tree, mount->target, mount->content, mount->content_length, mount->mode & 07777, mount->uid, mount->gid)); return;
  case MOUNT_DEVICE: step_fail(EOPNOTSUPP, "mount %s: isolation chroot gives steps no devices", mount->target);
  case MOUNT_OVERLAY: step_fail(EOPNOTSUPP, "mount %s: layers cannot be stacked where nothing can be mounted", mount->target);
  }
}

void fill_chroot_root(struct moved_tree *tree, const struct step_spec *step) {
  int proc = put_top_directory(tree, "proc", 0555), dev = put_top_directory(tree, "dev", 0755);
  make_proc_places(proc);
  fill_dev(dev);
  close(proc);
  close(dev);
  if (!brings_mount(step, "/sys")) close(put_top_directory(tree, "sys", 0555));
  if (!brings_mount(step, "/etc/hosts")) close(put_file(tree, "/etc/hosts", step->hosts.at, step->hosts.length));
  if (!brings_mount(step, "/etc/resolv.conf")) close(put_file(tree, "/etc/resolv.conf", step->resolv_conf.at, step->resolv_conf.length));
  for (size_t i = 0; i < step->mount_count; i++)
    // A tmpfs for /dev is /dev as every step has it.
    if (step->mounts[i].kind != MOUNT_TMPFS || strcmp(step->mounts[i].target, "/dev")) put_mount(tree, &step->mounts[i]);
  settle_moved_tree(tree);
}
