#define _GNU_SOURCE
#include "credentials.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

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

const struct credentials *credentials_of(const struct call *call) {
  const struct credential_sets *sets = &emulation_of(call)->sets;
  struct rlimit limit;
  if (prlimit((pid_t)call->request->pid, RLIMIT_LOCKS, NULL, &limit) < 0 || limit.rlim_cur >= sets->count) return sets->sets[0];
  return sets->sets[limit.rlim_cur];
}

int change_credentials(const struct call *call, const struct credentials *wanted) {
  int index = find_set(&emulation_of(call)->sets, wanted);
  if (index < 0) return index;
  struct rlimit limit;
  if (prlimit((pid_t)call->request->pid, RLIMIT_LOCKS, NULL, &limit) < 0) return -errno;
  limit.rlim_cur = index == 0 ? limit.rlim_max : (rlim_t)index;
  if (!still_waits(call)) return -ESRCH;
  return prlimit((pid_t)call->request->pid, RLIMIT_LOCKS, &limit, NULL) < 0 ? -errno : 0;
}

bool is_in_group(const struct credentials *credentials, uint32_t gid) {
  if (credentials->fsgid == gid) return true;
  for (uint32_t i = 0; i < credentials->group_count; i++)
    if (credentials->groups[i] == gid) return true;
  return false;
}
