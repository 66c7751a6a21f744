// Landlock: which files below which directories a process may reach, from now on and in whatever it executes.
#ifndef TS_OCI_LANDLOCK_H
#define TS_OCI_LANDLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Accesses to files, as linux/landlock.h numbers them: it is younger than the headers that we may be compiled with.
enum landlock_access {
  LANDLOCK_EXECUTE = 1 << 0,
  LANDLOCK_WRITE_FILE = 1 << 1,
  LANDLOCK_READ_FILE = 1 << 2,
  LANDLOCK_READ_DIR = 1 << 3,
  LANDLOCK_TRUNCATE = 1 << 14,
  LANDLOCK_IOCTL_DEV = 1 << 15,
};
// Whatever the version knows.
#define LANDLOCK_EVERYTHING UINT64_MAX

// Below or at `fd`; what is no directory takes the accesses of files alone, and what the version does not know is left out.
struct landlock_rule {
  int fd;
  uint64_t accesses;
};

enum landlock_reach {
  LANDLOCK_OWN_PEERS = 1,  // no abstract sockets, no signals outside (from version 6)
  LANDLOCK_NO_TCP = 2,     // from version 4
};

// The version that the kernel has; 0 where there is none or it is turned off, -1 with errno when it does not say.
int landlock_version(void);
// Restricts this process (no_new_privs is set). False with errno.
bool landlock_restrict(const struct landlock_rule *rules, size_t count, unsigned reach);

#endif
