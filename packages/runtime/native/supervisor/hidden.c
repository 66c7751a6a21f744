// What a step would see of the emulation itself: the limit that carries credentials, the names of records.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "credentials.h"
#include "emulation.h"
#include "handlers.h"
#include "place.h"
#include "record.h"
#include "supervisor.h"

#define LIST_LIMIT 65536

static struct answer give_limit(struct call *call, uint64_t into) {
  static const uint64_t none[2] = {RLIM_INFINITY, RLIM_INFINITY};
  int error = into ? write_memory(call, into, none, sizeof none) : 0;
  return error < 0 ? return_error(-error) : return_value(0);
}

struct answer on_getrlimit(struct call *call) { return give_limit(call, argument(call, 1)); }
struct answer on_setrlimit(struct call *call) { return return_value(0); }
struct answer on_prlimit64(struct call *call) { return give_limit(call, argument(call, 3)); }

// Of a name that may have no `user.*`, a capability is a record.
static bool is_hidden(const char *name, const char *place, bool follow) {
  struct stat status;
  if (is_record_name(name)) return true;
  if (strcmp(name, SPECIAL_RECORD_NAME)) return false;
  return fstatat(AT_FDCWD, place, &status, follow ? 0 : AT_SYMLINK_NOFOLLOW) == 0 && !S_ISREG(status.st_mode);
}

static struct answer list(struct call *call, const char *place, bool follow, uint64_t into, uint64_t size) {
  static char names[LIST_LIMIT];
  ssize_t length = follow ? listxattr(place, names, sizeof names) : llistxattr(place, names, sizeof names);
  if (length <= 0) return ask_kernel();
  ssize_t kept = 0;
  for (ssize_t at = 0; at < length;) {
    size_t one = strnlen(names + at, (size_t)(length - at)) + 1;
    if (!is_hidden(names + at, place, follow)) {
      memmove(names + kept, names + at, one);
      kept += (ssize_t)one;
    }
    at += (ssize_t)one;
  }
  if (kept == length) return ask_kernel();
  if (size == 0) return return_value(kept);
  if (size < (uint64_t)kept) return return_error(ERANGE);
  int error = kept ? write_memory(call, into, names, (size_t)kept) : 0;
  return error < 0 ? return_error(-error) : return_value(kept);
}

static struct answer list_at(struct call *call, int directory, uint64_t path, bool follow) {
  char place[PLACE_SIZE];
  bool descriptor, is_fd = directory != AT_FDCWD;
  if (locate(call, directory, path, is_fd, place, &descriptor) < 0) return ask_kernel();
  return list(call, place, follow, argument(call, 1), argument(call, 2));
}

struct answer on_listxattr(struct call *call) { return list_at(call, AT_FDCWD, argument(call, 0), true); }
struct answer on_llistxattr(struct call *call) { return list_at(call, AT_FDCWD, argument(call, 0), false); }
struct answer on_flistxattr(struct call *call) { return int_argument(call, 0) < 0 ? ask_kernel() : list_at(call, int_argument(call, 0), 0, true); }
