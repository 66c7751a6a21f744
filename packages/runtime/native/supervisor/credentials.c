#define _GNU_SOURCE
#include "credentials.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "handlers.h"
#include "place.h"
#include "supervisor.h"

// A step may make up sets without end.
#define BYTES_LIMIT (8u << 20)

static size_t size_of(const struct credentials *set) { return offsetof(struct credentials, groups) + set->group_count * sizeof set->groups[0]; }

static int add_set(struct credential_sets *sets, const struct credentials *wanted) {
  size_t size = size_of(wanted);
  if (sets->count == sizeof sets->sets / sizeof *sets->sets || sets->bytes + size > BYTES_LIMIT) return -EAGAIN;
  struct credentials *copy = malloc(size);
  if (!copy) return -EAGAIN;
  memcpy(copy, wanted, size);
  sets->sets[sets->count] = copy;
  sets->bytes += size;
  return (int)sets->count++;
}

// Newest first: a step comes back to what it was just now.
static int find_set(struct credential_sets *sets, const struct credentials *wanted) {
  size_t size = size_of(wanted);
  for (size_t i = sets->count; i-- > 0;)
    if (size_of(sets->sets[i]) == size && !memcmp(sets->sets[i], wanted, size)) return (int)i;
  return add_set(sets, wanted);
}

int start_credentials(struct credential_sets *sets, const struct credentials *first) { return add_set(sets, first) < 0 ? -ENOMEM : 0; }

// What the limit says: a mark, whether the umask is known, the umask, the set. Without the mark (nobody has set it): the first set.
#define MARK 0x5e000000u
#define MARK_MASK 0xff000000u
#define HAS_UMASK (1u << 21)
#define UMASK_SHIFT 12
#define INDEX_MASK 0xfffu
_Static_assert(sizeof(((struct credential_sets *)0)->sets) / sizeof(void *) == INDEX_MASK + 1, "an index is as wide as its bits");

static uint32_t read_limit(const struct call *call, struct rlimit *limit) {
  if (prlimit((pid_t)call->request->pid, RLIMIT_LOCKS, NULL, limit) < 0) return MARK;
  return limit->rlim_cur <= UINT32_MAX && (limit->rlim_cur & MARK_MASK) == MARK ? (uint32_t)limit->rlim_cur : MARK;
}

static int write_limit(const struct call *call, uint32_t value, rlim_t hard) {
  struct rlimit limit = {value, hard};
  if (!still_waits(call)) return -ESRCH;
  return prlimit((pid_t)call->request->pid, RLIMIT_LOCKS, &limit, NULL) < 0 ? -errno : 0;
}

const struct credentials *credentials_of(const struct call *call) {
  const struct credential_sets *sets = &emulation_of(call)->sets;
  struct rlimit limit;
  uint32_t index = read_limit(call, &limit) & INDEX_MASK;
  return sets->sets[index < sets->count ? index : 0];
}

static void keep_umask(const struct call *call, mode_t umask) {
  struct rlimit limit = {0};
  uint32_t value = read_limit(call, &limit);
  write_limit(call, MARK | HAS_UMASK | (uint32_t)(umask & 0777) << UMASK_SHIFT | (value & INDEX_MASK), limit.rlim_max);
}

mode_t umask_of(const struct call *call) {
  struct rlimit limit;
  if (!emulation_of(call)->keeps_umask) return read_umask(call);
  uint32_t value = read_limit(call, &limit);
  if (value & HAS_UMASK) return value >> UMASK_SHIFT & 0777;
  mode_t umask = read_umask(call);
  keep_umask(call, umask);
  return umask;
}

// The kernel sets it after this answer. It is a number in a register: nobody can exchange it.
struct answer on_umask(struct call *call) {
  if (emulation_of(call)->keeps_umask) keep_umask(call, (mode_t)argument(call, 0));
  return ask_kernel();
}

// Rare, so from now on the kernel is asked each time.
struct answer on_shared_umask(struct call *call) {
  emulation_of(call)->keeps_umask = false;
  return ask_kernel();
}

int change_credentials(const struct call *call, const struct credentials *wanted) {
  int index = find_set(&emulation_of(call)->sets, wanted);
  if (index < 0) return index;
  struct rlimit limit;
  if (prlimit((pid_t)call->request->pid, RLIMIT_LOCKS, NULL, &limit) < 0) return -errno;
  uint32_t value = read_limit(call, &limit);
  return write_limit(call, (value & ~INDEX_MASK) | (uint32_t)index, limit.rlim_max);
}

static int by_number(const void *a, const void *b) {
  uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;
  return left < right ? -1 : left > right;
}

void sort_groups(struct credentials *credentials) { qsort(credentials->groups, credentials->group_count, sizeof credentials->groups[0], by_number); }

bool is_in_group(const struct credentials *credentials, uint32_t gid) {
  if (credentials->fsgid == gid) return true;
  for (uint32_t i = 0; i < credentials->group_count; i++)
    if (credentials->groups[i] == gid) return true;
  return false;
}
