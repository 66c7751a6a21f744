// pivot_root; and where a filter forbids it, the way of switch_root. ../README.md, 10.
#define _GNU_SOURCE
#include "enter-root.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../common/kernel.h"
#include "failure.h"
#include "string-list.h"

static bool is_below(const char *path, const char *directory) {
  size_t length = strlen(directory);
  return !strncmp(path, directory, length) && (path[length] == '/' || path[length] == '\0');
}

// Blanks and line ends of a path are octal there: proc_pid_mountinfo(5).
static void unescape(char *text) {
  char *to = text;
  for (; *text; to++) {
    unsigned code;
    if (*text == '\\' && sscanf(text + 1, "%3o", &code) == 1) {
      *to = (char)code;
      text += 4;
    } else *to = *text++;
  }
  *to = '\0';
}

// Mount points of procfs and sysfs outside `inside`, in the order of the list.
static struct strings find_kernel_trees(FILE *list, const char *inside) {
  struct strings found = {0};
  rewind(list);
  char *line = NULL;
  size_t size = 0;
  while (getline(&line, &size, list) > 0) {
    char path[PATH_MAX], type[32];
    const char *rest = strstr(line, " - ");
    if (!rest || sscanf(rest, " - %31s", type) != 1 || sscanf(line, "%*s %*s %*s %*s %4095s", path) != 1) continue;
    unescape(path);
    if ((strcmp(type, "proc") && strcmp(type, "sysfs")) || is_below(path, inside)) continue;
    char *copy = strdup(path);
    if (!copy) step_fail(ENOMEM, "memory");
    add_string(&found, copy);
  }
  free(line);
  return found;
}

// A mount may cover another one at the same place.
#define DETACH_PASSES 8

// The old root stays below the new one. No path leads there, but a procfs with nothing covered is what the kernel asks for
// before it lets a user namespace have another one: none stays.
static void detach_kernel_trees(const struct executor_config *config) {
  char inside[PATH_MAX + 32];
  snprintf(inside, sizeof inside, "%s/root", config->state);
  // Read as an open file after its own procfs has gone.
  FILE *list = fopen("/proc/self/mountinfo", "re");
  if (!list) step_fail(errno, "read the list of mounts");
  struct strings trees;
  for (int pass = 0; (trees = find_kernel_trees(list, inside)).count > 0; pass++) {
    if (pass == DETACH_PASSES) step_fail(EPERM, "pivot_root, and detach %s", trees.items[0]);
    // What lies deepest first.
    for (size_t i = trees.count; i-- > 0;) umount2(trees.items[i], MNT_DETACH);
  }
  fclose(list);
}

// Docker's filter has no pivot_root, whatever capabilities a container has (moby/profiles, seccomp/default.json).
static void move_to_top(const struct executor_config *config, int root) {
  int namespace = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
  if (namespace < 0) step_fail(errno, "open the mount namespace");
  detach_kernel_trees(config);
  if (k_move_mount(root, AT_FDCWD, "/") < 0) step_fail(errno, "move the root");
  if (chroot(".") < 0) step_fail(errno, "chroot");
  // Enters what lies on top of the namespace's root. That is where `..` ends for whoever leaves a chroot of its own; were the
  // builder in a chroot, it would be the builder's system.
  if (setns(namespace, K_CLONE_NEWNS) < 0) step_fail(errno, "enter the root of the namespace");
  struct stat wanted, top;
  if (k_fstat(root, &wanted) < 0 || k_lstatat(AT_FDCWD, "/", &top) < 0) step_fail(errno, "look at the root");
  if (wanted.st_dev != top.st_dev || wanted.st_ino != top.st_ino) step_fail(EPERM, "pivot_root");
  close(namespace);
}

void enter_root(const struct executor_config *config, int root) {
  if (fchdir(root) < 0) step_fail(errno, "enter the root");
  if (k_pivot_root(".", ".") == 0) {
    if (umount2(".", MNT_DETACH) < 0) step_fail(errno, "detach the old root");
  } else {
    // In a user namespace the old mounts are locked: none could be detached.
    if (errno != EPERM || config->rootless) step_fail(errno, "pivot_root");
    move_to_top(config, root);
  }
  if (chdir("/") < 0) step_fail(errno, "enter the root");
}
