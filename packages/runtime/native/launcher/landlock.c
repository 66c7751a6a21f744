#define _GNU_SOURCE
#include "landlock.h"

#include <errno.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { NR_landlock_create_ruleset = 444, NR_landlock_add_rule = 445, NR_landlock_restrict_self = 446 };
enum { QUERY_VERSION = 1, PATH_BENEATH = 1 };
enum { REFER = 1 << 13 };
#define FIRST_ACCESSES ((1u << 13) - 1)
#define FILE_ACCESSES (LANDLOCK_EXECUTE | LANDLOCK_WRITE_FILE | LANDLOCK_READ_FILE | LANDLOCK_TRUNCATE | LANDLOCK_IOCTL_DEV)
#define TCP_ACCESSES 3
#define SCOPES 3 // abstract sockets, signals

struct ruleset {
  uint64_t files, network, scoped;
};

struct __attribute__((packed)) path_rule {
  uint64_t allowed;
  int32_t fd;
};

int landlock_version(void) {
  long version = syscall(NR_landlock_create_ruleset, NULL, 0, QUERY_VERSION);
  if (version < 0 && (errno == ENOSYS || errno == EOPNOTSUPP)) return 0;
  return (int)version;
}

static bool add_rule(int ruleset, const struct landlock_rule *rule, uint64_t known) {
  struct stat status;
  if (fstat(rule->fd, &status) < 0) return false;
  uint64_t accesses = rule->accesses & known;
  struct path_rule beneath = {.allowed = S_ISDIR(status.st_mode) ? accesses : accesses & FILE_ACCESSES, .fd = rule->fd};
  return syscall(NR_landlock_add_rule, ruleset, PATH_BENEATH, &beneath, 0) == 0;
}

bool landlock_restrict(const struct landlock_rule *rules, size_t count, unsigned reach) {
  int version = landlock_version();
  struct ruleset handled = {
      .files = FIRST_ACCESSES | REFER | (version >= 3 ? LANDLOCK_TRUNCATE : 0) | (version >= 5 ? LANDLOCK_IOCTL_DEV : 0),
      .network = version >= 4 && reach & LANDLOCK_NO_TCP ? TCP_ACCESSES : 0,
      .scoped = version >= 6 && reach & LANDLOCK_OWN_PEERS ? SCOPES : 0,
  };
  size_t size = version >= 6 ? sizeof handled : version >= 4 ? offsetof(struct ruleset, scoped) : offsetof(struct ruleset, network);
  int ruleset = (int)syscall(NR_landlock_create_ruleset, &handled, size, 0);
  if (ruleset < 0) return false;
  bool done = true;
  for (size_t i = 0; i < count && done; i++) done = add_rule(ruleset, &rules[i], handled.files);
  done = done && syscall(NR_landlock_restrict_self, ruleset, 0) == 0;
  int error = errno;
  close(ruleset);
  errno = error;
  return done;
}
