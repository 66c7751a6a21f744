// The step's root file system: overlay, pseudo file systems, files of /etc, then the step's own mounts.
#define _GNU_SOURCE
#include "rootfs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../common/kernel.h"
#include "../supervisor/record.h"
#include "../common/remove-tree.h"
#include "failure.h"
#include "file-system.h"
#include "mounts.h"
#include "overlay.h"
#include "pseudo.h"
#include "stubs.h"

enum { FIXED_TARGETS = 5 };
static const struct target fixed_targets[FIXED_TARGETS] = {
    {"/proc", false, true}, {"/sys", false, true}, {"/dev", false, true}, {"/etc/hosts", true, false}, {"/etc/resolv.conf", true, false},
};

struct layout {
  char root[PATH_MAX + 32], stage[PATH_MAX + 32], base[PATH_MAX + 32], empty[PATH_MAX + 32], low[PATH_MAX + 32], top[PATH_MAX + 32], notes[PATH_MAX + 32];
};

static void lay_out(const struct executor_config *config, uint32_t id, struct layout *layout) {
  snprintf(layout->root, sizeof layout->root, "%s/root", config->state);
  snprintf(layout->stage, sizeof layout->stage, "%s/stage", config->state);
  snprintf(layout->base, sizeof layout->base, "%s/base", config->state);
  snprintf(layout->empty, sizeof layout->empty, "%s/empty", config->state);
  snprintf(layout->low, sizeof layout->low, "%s/low-%u", config->state, id);
  snprintf(layout->top, sizeof layout->top, "%s/top-%u", config->state, id);
  plain_stub_notes(config->state, id, layout->notes);
}

// What shows as `/` is the topmost layer's own directory: the new upper takes over what lay there.
static void copy_root_attributes(const struct step_spec *step, bool single_id) {
  struct stat status = {.st_mode = 0755};
  if (step->lowers.count && stat(step->lowers.items[0], &status) < 0) step_fail(errno, "read %s", step->lowers.items[0]);
  int upper = open(step->upper, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (upper < 0) step_fail(errno, "open %s", step->upper);
  if (fchown(upper, status.st_uid, status.st_gid) < 0 && errno != EINVAL && errno != EPERM) step_fail(errno, "set the owner of %s", step->upper);
  if (single_id && step->lowers.count) copy_record(AT_FDCWD, step->lowers.items[0], upper);
  if (fchmod(upper, status.st_mode & 07777) < 0) step_fail(errno, "set the mode of %s", step->upper);
  struct timespec moments[2] = {status.st_atim, status.st_mtim};
  if (step->lowers.count) futimens(upper, moments);
  close(upper);
}

static int mount_root(const struct executor_config *config, const struct step_spec *step, const struct layout *layout, bool low, bool top) {
  struct strings lowers = {0};
  if (top) add_string(&lowers, layout->top);
  for (size_t i = 0; i < step->lowers.count; i++) add_string(&lowers, step->lowers.items[i]);
  if (low) add_string(&lowers, layout->low);
  add_string(&lowers, layout->base);
  // Without an upper directory overlay wants two lower ones.
  if (lowers.count < 2) add_string(&lowers, layout->empty);
  int root = mount_overlay(config, &lowers, step->upper, step->work, layout->root);
  free(lowers.items);
  return root;
}

// A mount with a volatile upper is refused a second time on the same work directory until its mark is removed.
static void forget_volatile(const char *work) {
  char path[PATH_MAX + 32];
  snprintf(path, sizeof path, "%s/work/incompat", work);
  if (remove_tree(path) < 0) step_fail(errno, "remove %s", path);
}

static int mount_root_with_stubs(const struct executor_config *config, const struct step_spec *step, const struct layout *layout,
                                 const struct target *targets, size_t count) {
  bool low = count > FIXED_TARGETS;
  if (low) make_low_stubs(layout->low, targets, count);
  if (step->upper) copy_root_attributes(step, config->single_id);
  int root = mount_root(config, step, layout, low, false);
  if (!make_top_stubs(root, layout->top, targets, count)) return root;
  close(root);
  if (umount2(layout->root, 0) < 0) step_fail(errno, "unmount the overlay");
  if (step->work) forget_volatile(step->work);
  return mount_root(config, step, layout, low, true);
}

// A plain directory, bound in its place: what it shows is what is written. Recursively, as mounts that came from a more
// privileged namespace are locked together.
static int bind_directory(const struct executor_config *config, const struct step_spec *step, const struct layout *layout,
                          const struct target *targets, size_t count) {
  int directory = k_openat2(AT_FDCWD, step->directory, O_PATH | O_DIRECTORY | O_NOFOLLOW, 0);
  if (directory < 0) step_fail(errno, "open %s", step->directory);
  make_plain_stubs(directory, layout->notes, targets, count);
  int root = k_open_tree(directory, "", true);
  if (root < 0) step_fail(errno, "bind %s", step->directory);
  if (config->nodev && k_mount_setattr(root, config->nodev, true) < 0) step_fail(errno, "bind %s: set its flags", step->directory);
  if (k_move_mount(root, AT_FDCWD, layout->root) < 0) step_fail(errno, "attach %s", step->directory);
  close(directory);
  return root;
}

static int bind_file(int files, const char *name) {
  int tree = k_open_tree(files, name, false);
  if (tree < 0 || k_mount_setattr(tree, K_ATTR_RDONLY | K_ATTR_NOSUID | K_ATTR_NODEV | K_ATTR_NOEXEC, false) < 0)
    step_fail(errno, "bind /etc/%s", name);
  return tree;
}

// A tmpfs for /dev is /dev as every step has it, in Docker too: without its nodes no program would work.
static bool is_dev(const struct mount_spec *mount) { return mount->kind == MOUNT_TMPFS && !strcmp(mount->target, "/dev"); }

int build_rootfs(struct executor_config *config, const struct step_spec *step, uint32_t id) {
  struct layout *layout = malloc(sizeof *layout);
  size_t count = FIXED_TARGETS + step->mount_count;
  struct plan *plans = calloc(count, sizeof *plans);
  struct target *targets = calloc(count, sizeof *targets);
  if (!layout || !plans || !targets) step_fail(ENOMEM, "memory");
  lay_out(config, id, layout);

  // Secrets lie here: kept out of swap where the kernel can (6.4, not in a user namespace). And nodes of ours, which have to
  // open: whatever is bound from here gets its own flags.
  static const char *const file_options[] = {"mode", "0700", "size", "64m", "noswap", "", NULL};
  int files = config->files = make_file_system("tmpfs", K_ATTR_NOSUID | (config->rootless ? K_ATTR_NODEV : 0), file_options);
  if (k_move_mount(files, AT_FDCWD, layout->stage) < 0) step_fail(errno, "attach a tmpfs");
  close(write_file(files, "hosts", step->hosts.at, step->hosts.length, 0644, 0, 0));
  close(write_file(files, "resolv.conf", step->resolv_conf.at, step->resolv_conf.length, 0644, 0, 0));
  plans[3].tree = bind_file(files, "hosts");
  plans[4].tree = bind_file(files, "resolv.conf");
  memcpy(targets, fixed_targets, sizeof fixed_targets);
  for (size_t i = 0; i < FIXED_TARGETS; i++) plans[i].target = targets[i];
  for (size_t i = 0; i < step->mount_count; i++) {
    struct plan *plan = &plans[FIXED_TARGETS + i];
    prepare_mount(config, &step->mounts[i], plan);
    targets[FIXED_TARGETS + i] = plan->target;
    // Its mount point may be a directory where ours is a file.
    for (size_t j = 3; j < FIXED_TARGETS; j++)
      if (!strcmp(plan->target.path, targets[j].path)) targets[j] = plan->target;
  }

  int root = step->directory ? bind_directory(config, step, layout, targets, count) : mount_root_with_stubs(config, step, layout, targets, count);
  bool insecure = step->flags & STEP_INSECURE;
  mount_proc(config, root, insecure);
  mount_dev(config, step, root);
  if (!brings_mount(step, "/sys")) mount_sys(config, root, insecure, step->flags & STEP_OWN_NETWORK, step->limits.any);
  for (size_t i = 3; i < FIXED_TARGETS; i++)
    if (!brings_mount(step, plans[i].target.path)) attach(config, root, &plans[i]);
  for (size_t i = 0; i < step->mount_count; i++)
    if (!is_dev(&step->mounts[i])) attach(config, root, &plans[FIXED_TARGETS + i]);
  free(targets);
  free(plans);
  free(layout);
  return root;
}
