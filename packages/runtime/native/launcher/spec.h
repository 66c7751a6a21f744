// What a step is, as a RUN_STEP frame tells it.
#ifndef TS_OCI_SPEC_H
#define TS_OCI_SPEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "string-list.h"

// Bits of `flags`.
// STEP_NETWORK_NONE: a namespace with loopback alone; STEP_NETWORK_POOL: one of those that lead outside.
enum step_flag { STEP_NETWORK_NONE = 1, STEP_INSECURE = 2, STEP_NETWORK_POOL = 4, STEP_INPUT = 8, STEP_TERMINAL = 16 };
#define STEP_OWN_NETWORK (STEP_NETWORK_NONE | STEP_NETWORK_POOL)

// A tmpfs takes the mode of the directory that it covers; where there is none, that of /tmp. As runc does.
#define MODE_OF_TARGET 0xffffffffu
#define TMPFS_MODE 01777

enum mount_kind { MOUNT_BIND = 1, MOUNT_OVERLAY = 2, MOUNT_TMPFS = 3, MOUNT_SECRET = 4, MOUNT_DEVICE = 5 };

// Bits of a mount's flags, and of how a device opens.
enum mount_flag { MOUNT_READONLY = 1, MOUNT_NOSUID = 2, MOUNT_NOEXEC = 4, MOUNT_NODEV = 8 };
enum device_access { DEVICE_READ = 1, DEVICE_WRITE = 2 };

struct mount_spec {
  enum mount_kind kind;
  bool readonly;
  uint32_t flags; // enum mount_flag
  const char *target, *source, *subpath, *scratch;
  struct strings lowers; // top first
  uint64_t size;
  uint32_t mode, uid, gid; // mode of a tmpfs: MODE_OF_TARGET, or as asked for
  const uint8_t *content;
  size_t content_length;
  uint32_t major_number, minor_number, access; // of a device; `mode` has its type
};

struct rlimit_spec {
  uint32_t resource;
  uint64_t soft, hard;
};

// What it may use, where something limits it. Zero is not asked for; -1 is no limit.
struct limit_spec {
  bool any; // it gets cgroups of its own
  int64_t memory, memory_swap, cpu_shares, cpu_weight, cpu_quota, cpu_period;
  const char *cpus, *mems; // lists: "0-2,4"; or NULL
  const char *parent;      // the cgroup in which its own is made, as a path below the hierarchy's root; or NULL
};

struct bytes {
  const uint8_t *at;
  size_t length;
};

struct step_spec {
  struct strings lowers, args, env; // lowers top first
  const char *upper, *work, *cwd, *hostname;
  const char *directory; // the root is this one, as it is; no overlay
  struct bytes hosts, resolv_conf;
  uint32_t uid, gid, flags; // ids as the executor's namespace has them
  // The user of the executor has these ids inside, where it is root in others; those below them move up by one outside.
  bool keeps_ids;
  uint32_t own_uid, own_gid;
  gid_t *additional_gids;
  size_t additional_gid_count;
  struct mount_spec *mounts;
  size_t mount_count;
  struct rlimit_spec *rlimits;
  size_t rlimit_count;
  uint64_t shm_size;
  struct limit_spec limits;
};

// Parses a RUN_STEP payload; strings point into it. False when it is malformed.
bool parse_step(const uint8_t *payload, size_t length, struct step_spec *step);
void free_step(struct step_spec *step);
// Whether the step mounts something of its own in the very place of one of our mounts: it takes that one's place.
bool brings_mount(const struct step_spec *step, const char *target);

#endif
