// stat, where a record says another owner than the kernel. Most files have none: those cost one or two looks, and the kernel's answer
// is the right one.
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/stat.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "handlers.h"
#include "place.h"
#include "record.h"
#include "supervisor.h"

// What statx needs no answer of ours for.
#define FOLLOW_FLAGS (AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH)

static bool find_record(const struct call *call, int directory, uint64_t path, int flags, char place[PLACE_SIZE], bool *follow, struct record *record) {
  bool descriptor;
  if (locate(call, directory, path, flags & AT_EMPTY_PATH, place, &descriptor) < 0) return false;
  *follow = descriptor || !(flags & AT_SYMLINK_NOFOLLOW);
  return read_record(place, *follow, record);
}

static struct answer answer_stat(struct call *call, int directory, uint64_t path, uint64_t into, int flags) {
  char place[PLACE_SIZE];
  struct record record;
  struct stat status;
  bool follow;
  if (flags & ~FOLLOW_FLAGS || !find_record(call, directory, path, flags, place, &follow, &record)) return ask_kernel();
  // On these architectures the C library's structure is the kernel's.
  if (syscall(SYS_newfstatat, AT_FDCWD, place, &status, follow ? 0 : AT_SYMLINK_NOFOLLOW) < 0) return ask_kernel();
  status.st_uid = record.uid;
  status.st_gid = record.gid;
  if (record.type) {
    status.st_mode = record.type | (status.st_mode & 07777);
    status.st_rdev = makedev(record.major, record.minor);
    status.st_size = status.st_blocks = 0;
  }
  int error = write_memory(call, into, &status, sizeof status);
  return error < 0 ? return_error(-error) : return_value(0);
}

struct answer on_stat(struct call *call) { return answer_stat(call, AT_FDCWD, argument(call, 0), argument(call, 1), 0); }
struct answer on_lstat(struct call *call) { return answer_stat(call, AT_FDCWD, argument(call, 0), argument(call, 1), AT_SYMLINK_NOFOLLOW); }
struct answer on_newfstatat(struct call *call) {
  return answer_stat(call, int_argument(call, 0), argument(call, 1), argument(call, 2), int_argument(call, 3));
}

struct answer on_fstat(struct call *call) {
  if (int_argument(call, 0) < 0) return ask_kernel();
  return answer_stat(call, int_argument(call, 0), 0, argument(call, 1), AT_EMPTY_PATH);
}

struct answer on_statx(struct call *call) {
  char place[PLACE_SIZE];
  struct record record;
  struct statx status;
  bool follow;
  int flags = int_argument(call, 2);
  if (!find_record(call, int_argument(call, 0), argument(call, 1), flags, place, &follow, &record)) return ask_kernel();
  int ours = (flags & ~FOLLOW_FLAGS) | (flags & AT_NO_AUTOMOUNT) | (follow ? 0 : AT_SYMLINK_NOFOLLOW);
  if (syscall(SYS_statx, AT_FDCWD, place, ours, (uint32_t)argument(call, 3), &status) < 0) return ask_kernel();
  status.stx_uid = record.uid;
  status.stx_gid = record.gid;
  if (record.type) {
    status.stx_mode = (uint16_t)(record.type | (status.stx_mode & 07777));
    status.stx_rdev_major = record.major;
    status.stx_rdev_minor = record.minor;
    status.stx_size = status.stx_blocks = 0;
  }
  int error = write_memory(call, argument(call, 4), &status, sizeof status);
  return error < 0 ? return_error(-error) : return_value(0);
}
