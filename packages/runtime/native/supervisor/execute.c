// exec of a set-user-id or set-group-id program, so that `su` and `sudo` are root's again. The bits are on the file, the owner in its
// record; to the kernel the program is its caller's own.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "credentials.h"
#include "emulation.h"
#include "handlers.h"
#include "place.h"
#include "record.h"
#include "supervisor.h"

// The kernel takes no set-id bits of a script.
static bool is_script(const char *place) {
  char start[2] = "";
  // Not to wait for whoever opens the other end of a pipe that has come into its place.
  int fd = open(place, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  if (fd < 0) return true;
  ssize_t got = read(fd, start, 2);
  close(fd);
  return got == 2 && start[0] == '#' && start[1] == '!';
}

static void take_file_ids(const struct call *call, const char *place, bool follow, struct credentials *wanted) {
  struct stat status;
  struct record owner = {0};
  if (fstatat(AT_FDCWD, place, &status, follow ? 0 : AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(status.st_mode)) return;
  bool sets_user = status.st_mode & S_ISUID, sets_group = (status.st_mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP);
  if (!(status.st_mode & 0111) || !(sets_user || sets_group) || is_script(place) || has_no_new_privileges(call)) return;
  // As the kernel has it: a program of others is not looked into by who may not become its owner.
  if (wanted->euid != 0 && is_traced(call)) return;
  read_record(place, follow, &owner);
  if (sets_user) wanted->euid = owner.uid;
  if (sets_group) wanted->egid = owner.gid;
}

static struct answer execute(struct call *call, int directory, uint64_t path, int flags) {
  char place[PLACE_SIZE];
  bool descriptor;
  const struct credentials *own = credentials_of(call);
  struct credentials wanted;
  if (locate(call, directory, path, flags & AT_EMPTY_PATH, place, &descriptor) < 0) return ask_kernel();
  memcpy(&wanted, own, offsetof(struct credentials, groups) + own->group_count * sizeof own->groups[0]);
  take_file_ids(call, place, descriptor || !(flags & AT_SYMLINK_NOFOLLOW), &wanted);
  wanted.suid = wanted.fsuid = wanted.euid;
  wanted.sgid = wanted.fsgid = wanted.egid;
  // Before the program starts: should the exec fail, its caller keeps them. It could have them by any other set-id program.
  if (memcmp(&wanted, own, offsetof(struct credentials, groups))) change_credentials(call, &wanted);
  return ask_kernel();
}

struct answer on_execve(struct call *call) { return execute(call, AT_FDCWD, argument(call, 0), 0); }
struct answer on_execveat(struct call *call) { return execute(call, int_argument(call, 0), argument(call, 1), int_argument(call, 4)); }

struct answer on_chroot(struct call *call) {
  emulation_of(call)->chroots = true;
  return ask_kernel();
}
