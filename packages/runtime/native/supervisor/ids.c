// set*id and get*id, as credentials(7) and the pages of each call have it for a process that has CAP_SETUID and CAP_SETGID exactly
// while its effective user is 0.
#include <errno.h>
#include <string.h>

#include "credentials.h"
#include "handlers.h"
#include "supervisor.h"

#define KEEP 0xffffffffu

static uint32_t id_argument(const struct call *call, int index) { return (uint32_t)argument(call, index); }

struct answer on_getuid(struct call *call) { return return_value(credentials_of(call)->ruid); }
struct answer on_geteuid(struct call *call) { return return_value(credentials_of(call)->euid); }
struct answer on_getgid(struct call *call) { return return_value(credentials_of(call)->rgid); }
struct answer on_getegid(struct call *call) { return return_value(credentials_of(call)->egid); }

static struct answer write_three(struct call *call, const uint32_t ids[3]) {
  for (int i = 0; i < 3; i++) {
    int error = write_memory(call, argument(call, i), &ids[i], sizeof ids[i]);
    if (error < 0) return return_error(-error);
  }
  return return_value(0);
}

struct answer on_getresuid(struct call *call) {
  const struct credentials *own = credentials_of(call);
  return write_three(call, (uint32_t[]){own->ruid, own->euid, own->suid});
}

struct answer on_getresgid(struct call *call) {
  const struct credentials *own = credentials_of(call);
  return write_three(call, (uint32_t[]){own->rgid, own->egid, own->sgid});
}

struct answer on_getgroups(struct call *call) {
  const struct credentials *own = credentials_of(call);
  int size = int_argument(call, 0);
  if (size < 0) return return_error(EINVAL);
  if (size == 0) return return_value(own->group_count);
  if ((uint32_t)size < own->group_count) return return_error(EINVAL);
  int error = own->group_count ? write_memory(call, argument(call, 1), own->groups, own->group_count * sizeof own->groups[0]) : 0;
  return error < 0 ? return_error(-error) : return_value(own->group_count);
}

// A copy to change; its groups are copied as far as there are any.
static void copy_credentials(struct credentials *copy, const struct credentials *own) {
  memcpy(copy, own, offsetof(struct credentials, groups) + own->group_count * sizeof own->groups[0]);
}

static struct answer change(struct call *call, const struct credentials *wanted) {
  int error = change_credentials(call, wanted);
  return error < 0 ? return_error(-error) : return_value(0);
}

static bool is_one_of(uint32_t id, uint32_t a, uint32_t b, uint32_t c) { return id == a || id == b || id == c; }

struct answer on_setuid(struct call *call) {
  const struct credentials *own = credentials_of(call);
  uint32_t uid = id_argument(call, 0);
  struct credentials wanted;
  copy_credentials(&wanted, own);
  if (uid == KEEP) return return_error(EINVAL);
  if (own->euid == 0) wanted.ruid = wanted.suid = uid;
  else if (uid != own->ruid && uid != own->suid) return return_error(EPERM);
  wanted.euid = wanted.fsuid = uid;
  return change(call, &wanted);
}

struct answer on_setgid(struct call *call) {
  const struct credentials *own = credentials_of(call);
  uint32_t gid = id_argument(call, 0);
  struct credentials wanted;
  copy_credentials(&wanted, own);
  if (gid == KEEP) return return_error(EINVAL);
  if (own->euid == 0) wanted.rgid = wanted.sgid = gid;
  else if (gid != own->rgid && gid != own->sgid) return return_error(EPERM);
  wanted.egid = wanted.fsgid = gid;
  return change(call, &wanted);
}

struct answer on_setreuid(struct call *call) {
  const struct credentials *own = credentials_of(call);
  uint32_t ruid = id_argument(call, 0), euid = id_argument(call, 1);
  struct credentials wanted;
  copy_credentials(&wanted, own);
  if (own->euid != 0) {
    if (ruid != KEEP && ruid != own->ruid && ruid != own->euid) return return_error(EPERM);
    if (euid != KEEP && !is_one_of(euid, own->ruid, own->euid, own->suid)) return return_error(EPERM);
  }
  if (ruid != KEEP) wanted.ruid = ruid;
  if (euid != KEEP) wanted.euid = euid;
  if (ruid != KEEP || (euid != KEEP && euid != own->ruid)) wanted.suid = wanted.euid;
  wanted.fsuid = wanted.euid;
  return change(call, &wanted);
}

struct answer on_setregid(struct call *call) {
  const struct credentials *own = credentials_of(call);
  uint32_t rgid = id_argument(call, 0), egid = id_argument(call, 1);
  struct credentials wanted;
  copy_credentials(&wanted, own);
  if (own->euid != 0) {
    if (rgid != KEEP && rgid != own->rgid && rgid != own->egid) return return_error(EPERM);
    if (egid != KEEP && !is_one_of(egid, own->rgid, own->egid, own->sgid)) return return_error(EPERM);
  }
  if (rgid != KEEP) wanted.rgid = rgid;
  if (egid != KEEP) wanted.egid = egid;
  if (rgid != KEEP || (egid != KEEP && egid != own->rgid)) wanted.sgid = wanted.egid;
  wanted.fsgid = wanted.egid;
  return change(call, &wanted);
}

struct answer on_setresuid(struct call *call) {
  const struct credentials *own = credentials_of(call);
  uint32_t ids[3] = {id_argument(call, 0), id_argument(call, 1), id_argument(call, 2)};
  struct credentials wanted;
  copy_credentials(&wanted, own);
  for (int i = 0; i < 3; i++)
    if (ids[i] != KEEP && own->euid != 0 && !is_one_of(ids[i], own->ruid, own->euid, own->suid)) return return_error(EPERM);
  if (ids[0] != KEEP) wanted.ruid = ids[0];
  if (ids[1] != KEEP) wanted.euid = ids[1];
  if (ids[2] != KEEP) wanted.suid = ids[2];
  wanted.fsuid = wanted.euid;
  return change(call, &wanted);
}

struct answer on_setresgid(struct call *call) {
  const struct credentials *own = credentials_of(call);
  uint32_t ids[3] = {id_argument(call, 0), id_argument(call, 1), id_argument(call, 2)};
  struct credentials wanted;
  copy_credentials(&wanted, own);
  for (int i = 0; i < 3; i++)
    if (ids[i] != KEEP && own->euid != 0 && !is_one_of(ids[i], own->rgid, own->egid, own->sgid)) return return_error(EPERM);
  if (ids[0] != KEEP) wanted.rgid = ids[0];
  if (ids[1] != KEEP) wanted.egid = ids[1];
  if (ids[2] != KEEP) wanted.sgid = ids[2];
  wanted.fsgid = wanted.egid;
  return change(call, &wanted);
}

// These answer with the id before, whether it changed or not.
struct answer on_setfsuid(struct call *call) {
  const struct credentials *own = credentials_of(call);
  uint32_t uid = id_argument(call, 0), before = own->fsuid;
  struct credentials wanted;
  copy_credentials(&wanted, own);
  wanted.fsuid = uid;
  if (uid != KEEP && (own->euid == 0 || uid == own->fsuid || is_one_of(uid, own->ruid, own->euid, own->suid))) change_credentials(call, &wanted);
  return return_value(before);
}

struct answer on_setfsgid(struct call *call) {
  const struct credentials *own = credentials_of(call);
  uint32_t gid = id_argument(call, 0), before = own->fsgid;
  struct credentials wanted;
  copy_credentials(&wanted, own);
  wanted.fsgid = gid;
  if (gid != KEEP && (own->euid == 0 || gid == own->fsgid || is_one_of(gid, own->rgid, own->egid, own->sgid))) change_credentials(call, &wanted);
  return return_value(before);
}

struct answer on_setgroups(struct call *call) {
  const struct credentials *own = credentials_of(call);
  uint32_t count = id_argument(call, 0);
  struct credentials wanted;
  copy_credentials(&wanted, own);
  if (own->euid != 0) return return_error(EPERM);
  if (count > 65536) return return_error(EINVAL);
  if (count > GROUP_LIMIT) return return_error(ENOMEM);
  wanted.group_count = count;
  int error = count ? read_memory(call, argument(call, 1), wanted.groups, count * sizeof wanted.groups[0]) : 0;
  if (error < 0) return return_error(-error);
  for (uint32_t i = 0; i < count; i++)
    if (wanted.groups[i] == KEEP) return return_error(EINVAL);
  sort_groups(&wanted);
  return change(call, &wanted);
}
