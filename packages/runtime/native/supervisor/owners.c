// chown. What it does besides (clearing set-id bits and capabilities, the time of the change, a copy up) is the kernel's: it is
// asked to give the file to whom it belongs already.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "credentials.h"
#include "handlers.h"
#include "place.h"
#include "record.h"
#include "supervisor.h"

#define KEEP 0xffffffffu

static bool may_chown(const struct credentials *own, const struct record *before, uint32_t uid, uint32_t gid) {
  if (own->euid == 0) return true;
  if (own->fsuid != before->uid || (uid != KEEP && uid != before->uid)) return false;
  return gid == KEEP || gid == before->gid || is_in_group(own, gid);
}

static struct answer chown_opened(struct call *call, int fd, uint32_t uid, uint32_t gid) {
  char path[32];
  struct record record;
  struct stat status;
  snprintf(path, sizeof path, "self/fd/%d", fd);
  if (fstat(fd, &status) < 0) return return_error(errno);
  read_record(path, true, &record);
  if (!may_chown(credentials_of(call), &record, uid, gid)) return return_error(EPERM);
  if (fchownat(fd, "", uid == KEEP ? KEEP : 0, gid == KEEP ? KEEP : 0, AT_EMPTY_PATH) < 0) return return_error(errno);
  if (uid != KEEP) record.uid = uid;
  if (gid != KEEP) record.gid = gid;
  int error = write_record(path, true, status.st_mode, &record);
  // What has no attributes (a pipe between processes, a file of /proc) is in no layer either: nobody will ask whose it is.
  return error < 0 && error != -ENOTSUP && error != -EPERM ? return_error(-error) : return_value(0);
}

static struct answer chown_at(struct call *call, int directory, uint64_t path, int flags, int ids) {
  char place[PLACE_SIZE];
  bool descriptor;
  if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) return return_error(EINVAL);
  int error = locate(call, directory, path, flags & AT_EMPTY_PATH, place, &descriptor);
  if (error < 0) return return_error(-error);
  int fd = open(place, O_PATH | O_CLOEXEC | (flags & AT_SYMLINK_NOFOLLOW && !descriptor ? O_NOFOLLOW : 0));
  // The kernel says why: it may be a path that only the step can follow (/proc/self …), or nothing at all.
  if (fd < 0) return ask_kernel();
  struct answer answer = chown_opened(call, fd, (uint32_t)argument(call, ids), (uint32_t)argument(call, ids + 1));
  close(fd);
  return answer;
}

struct answer on_chown(struct call *call) { return chown_at(call, AT_FDCWD, argument(call, 0), 0, 1); }
struct answer on_lchown(struct call *call) { return chown_at(call, AT_FDCWD, argument(call, 0), AT_SYMLINK_NOFOLLOW, 1); }
struct answer on_fchownat(struct call *call) { return chown_at(call, int_argument(call, 0), argument(call, 1), int_argument(call, 4), 2); }

struct answer on_fchown(struct call *call) {
  // A path of NULL with AT_EMPTY_PATH is the descriptor itself.
  return int_argument(call, 0) < 0 ? return_error(EBADF) : chown_at(call, int_argument(call, 0), 0, AT_EMPTY_PATH, 1);
}
