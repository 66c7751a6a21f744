// The step's own mounts. Source and target are held as descriptors from the one look-up to the mount, so nothing that
// another step swaps meanwhile (a link in a shared cache) is followed.
#define _GNU_SOURCE
#include "mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "../common/kernel.h"
#include "../supervisor/record.h"
#include "failure.h"
#include "file-system.h"
#include "overlay.h"
#include "resolve.h"

int write_file(int directory, const char *name, const uint8_t *content, size_t length, mode_t mode, uid_t uid, gid_t gid) {
  int fd = openat(directory, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0) step_fail(errno, "create %s", name);
  while (length > 0) {
    ssize_t written = write(fd, content, length);
    if (written < 0) step_fail(errno, "write %s", name);
    content += written;
    length -= (size_t)written;
  }
  if (give_to(fd, uid, gid) < 0) step_fail(errno, "set the owner of %s", name);
  if (fchmod(fd, mode) < 0) step_fail(errno, "set the mode of %s", name);
  return fd;
}

// The object below a source that the caller named; links stay inside it.
static int enter_subpath(int fd, const struct mount_spec *mount) {
  if (!mount->subpath || !*mount->subpath) return fd;
  int inside = k_openat2(fd, mount->subpath, O_PATH, K_RESOLVE_IN_ROOT | K_RESOLVE_NO_MAGICLINKS);
  if (inside < 0) step_fail(errno, "mount %s: source %s", mount->target, mount->subpath);
  close(fd);
  return inside;
}

static int clone_source(int fd, const struct mount_spec *mount, bool *file) {
  struct stat status;
  if (fstat(fd, &status) < 0) step_fail(errno, "mount %s: read the source", mount->target);
  *file = !S_ISDIR(status.st_mode);
  // Mounts inherited from a more privileged namespace are locked together: only a recursive clone is allowed.
  int tree = k_open_tree(fd, "", true);
  if (tree < 0) step_fail(errno, "mount %s: bind the source", mount->target);
  return tree;
}

static int open_bind(const struct mount_spec *mount, bool *file) {
  int fd = k_openat2(AT_FDCWD, mount->source, O_PATH, 0);
  if (fd < 0) step_fail(errno, "mount %s: source %s", mount->target, mount->source);
  fd = enter_subpath(fd, mount);
  int tree = clone_source(fd, mount, file);
  struct stat status;
  // A socket (an agent's) is written to whatever its mount says; mode and times of its inode are not the step's.
  if (fstat(fd, &status) == 0 && S_ISSOCK(status.st_mode) && k_mount_setattr(tree, K_ATTR_RDONLY, false) < 0)
    step_fail(errno, "mount %s: set its flags", mount->target);
  close(fd);
  return tree;
}

static int open_overlay(const struct executor_config *config, const struct mount_spec *mount, bool *file) {
  char at[PATH_MAX + 32], empty[PATH_MAX + 32], empty2[PATH_MAX + 32], upper[PATH_MAX], work[PATH_MAX];
  snprintf(at, sizeof at, "%s/stage", config->state);
  snprintf(empty, sizeof empty, "%s/empty", config->state);
  snprintf(empty2, sizeof empty2, "%s/empty2", config->state);
  if ((size_t)snprintf(upper, sizeof upper, "%s/upper", mount->scratch) >= sizeof upper ||
      (size_t)snprintf(work, sizeof work, "%s/work", mount->scratch) >= sizeof work)
    step_fail(ENAMETOOLONG, "mount %s", mount->target);
  if (!mount->readonly && (mkdir(upper, 0755) < 0 || mkdir(work, 0700) < 0)) step_fail(errno, "mount %s: make %s", mount->target, upper);
  struct strings lowers = {0};
  for (size_t i = 0; i < mount->lowers.count; i++) add_string(&lowers, mount->lowers.items[i]);
  // Alone, a lower directory would show its own whiteouts; and overlay wants two when there is no upper one.
  add_string(&lowers, empty);
  if (lowers.count < 2) add_string(&lowers, empty2);
  int fd = mount_overlay(config, &lowers, mount->readonly ? NULL : upper, mount->readonly ? NULL : work, at);
  free(lowers.items);
  fd = enter_subpath(fd, mount);
  int tree = clone_source(fd, mount, file);
  close(fd);
  return tree;
}

static unsigned attributes_of(const struct mount_spec *mount) {
  return (mount->readonly ? K_ATTR_RDONLY : 0) | (mount->flags & MOUNT_NOSUID ? K_ATTR_NOSUID : 0) |
         (mount->flags & MOUNT_NOEXEC ? K_ATTR_NOEXEC : 0) | (mount->flags & MOUNT_NODEV ? K_ATTR_NODEV : 0);
}

static int open_tmpfs(const struct executor_config *config, const struct mount_spec *mount, mode_t target_mode) {
  char size[32], mode[16];
  const char *options[5] = {"mode", mode, NULL};
  snprintf(mode, sizeof mode, "%o", (mount->mode == MODE_OF_TARGET ? target_mode : mount->mode) & 07777);
  if (mount->size) {
    snprintf(size, sizeof size, "%llu", (unsigned long long)mount->size);
    options[2] = "size";
    options[3] = size;
  }
  return make_file_system("tmpfs", K_ATTR_NOSUID | config->nodev | attributes_of(mount), options);
}

static int open_secret(const struct executor_config *config, const struct mount_spec *mount) {
  static int number;
  char name[32];
  snprintf(name, sizeof name, "secret-%d", number++);
  close(write_file(config->files, name, mount->content, mount->content_length, mount->mode & 07777, mount->uid, mount->gid));
  int tree = k_open_tree(config->files, name, false);
  // A secret may be a program: no NOEXEC.
  if (tree < 0 || k_mount_setattr(tree, K_ATTR_NOSUID | K_ATTR_NODEV, false) < 0) step_fail(errno, "mount %s: bind the secret", mount->target);
  return tree;
}

static bool is_node(int fd, const struct mount_spec *mount) {
  struct stat status;
  return fstat(fd, &status) == 0 && (status.st_mode & S_IFMT) == (mount->mode & S_IFMT) &&
         (S_ISFIFO(mount->mode) || status.st_rdev == makedev(mount->major_number, mount->minor_number));
}

// A node of ours, with the mode and the owner that are asked for. In a user namespace nobody makes devices: there it is the
// machine's own, of which nothing can be changed through a mount that is read-only; what is written goes to the device.
static int open_node(const struct executor_config *config, const struct mount_spec *mount) {
  static int number;
  char name[32];
  bool made = !config->rootless || S_ISFIFO(mount->mode);
  snprintf(name, sizeof name, "device-%d", number++);
  if (made && (mknodat(config->files, name, mount->mode & (S_IFMT | 07777), makedev(mount->major_number, mount->minor_number)) < 0 ||
               fchownat(config->files, name, mount->uid, mount->gid, AT_SYMLINK_NOFOLLOW) < 0))
    step_fail(errno, "mount %s: make the device", mount->target);
  int fd = made ? openat(config->files, name, O_PATH | O_NOFOLLOW | O_CLOEXEC) : open(mount->source, O_PATH | O_CLOEXEC);
  if (fd < 0) step_fail(errno, "mount %s: device %s", mount->target, mount->source);
  // Whatever lies at its path now.
  if (!is_node(fd, mount)) step_fail(ENODEV, "mount %s: device %s", mount->target, mount->source);
  int tree = k_open_tree(fd, "", false);
  if (tree < 0 || k_mount_setattr(tree, K_ATTR_NOSUID | K_ATTR_NOEXEC | (made ? 0 : K_ATTR_RDONLY), false) < 0)
    step_fail(errno, "mount %s: bind the device", mount->target);
  close(fd);
  return tree;
}

void prepare_mount(const struct executor_config *config, const struct mount_spec *mount, struct plan *plan) {
  bool file = false;
  int tree = -1;
  switch (mount->kind) {
  case MOUNT_BIND: tree = open_bind(mount, &file); break;
  case MOUNT_OVERLAY: tree = open_overlay(config, mount, &file); break;
  case MOUNT_TMPFS: *plan = (struct plan){.target = {.path = mount->target, .mode = TMPFS_MODE}, .tree = -1, .tmpfs = mount}; return;
  case MOUNT_SECRET:
    tree = open_secret(config, mount);
    file = true;
    break;
  case MOUNT_DEVICE: *plan = (struct plan){.target = {.path = mount->target, .file = true}, .tree = open_node(config, mount)}; return;
  }
  // mount_setattr adds flags to the detached tree and need not repeat those that are locked.
  uint64_t attributes = config->nodev | attributes_of(mount);
  if (attributes && k_mount_setattr(tree, attributes, true) < 0) step_fail(errno, "mount %s: set its flags", mount->target);
  *plan = (struct plan){.target = {.path = mount->target, .file = file}, .tree = tree};
}

// A mount inside /proc could cover what programs (and the kernel's own checks) rely on, whatever path leads there. What
// masks a directory of it is another file system.
static void refuse_proc(const struct resolved *resolved, const char *target) {
  struct statfs status;
  if (fstatfs(resolved->fd, &status) < 0) step_fail(errno, "mount target %s", target);
  bool below = !strncmp(resolved->path, "proc", 4) && (resolved->path[4] == 0 || resolved->path[4] == '/');
  if (below || status.f_type == K_PROC_MAGIC) step_fail(EPERM, "mount target %s lies in /proc", target);
}

void attach(const struct executor_config *config, int root, const struct plan *plan) {
  struct resolved resolved;
  if (resolve_in_root(root, plan->target.path, &resolved) < 0)
    step_fail(errno, resolved.magic ? "mount target %s leads through a magic link of /proc" : "mount target %s", plan->target.path);
  // A link to `/` leads here as well: what covered the root would show in `/..` alone.
  if (!*resolved.path) step_fail(EPERM, "mount target %s is the root of the step", plan->target.path);
  refuse_proc(&resolved, plan->target.path);
  int at = resolved.fd;
  if (resolved.missing) {
    at = create_missing(&resolved, &(struct new_place){.file = plan->target.file, .mode = plan->target.mode});
    close(resolved.fd);
    if (at < 0) step_fail(errno, "make the mount target %s", plan->target.path);
  }
  struct stat status;
  if (fstat(at, &status) < 0) step_fail(errno, "mount target %s", plan->target.path);
  if (S_ISDIR(status.st_mode) == plan->target.file) step_fail(plan->target.file ? EISDIR : ENOTDIR, "mount target %s", plan->target.path);
  int tree = plan->tmpfs ? open_tmpfs(config, plan->tmpfs, status.st_mode) : plan->tree;
  if (k_move_mount(tree, at, "") < 0) step_fail(errno, "mount %s", plan->target.path);
  close(at);
  close(tree);
}
