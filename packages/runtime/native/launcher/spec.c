#define _GNU_SOURCE
#include "spec.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "protocol.h"

static void *grown(void *array, size_t count, size_t size) {
  // Doubling at powers of two keeps this linear without a capacity beside each array.
  if (count & (count - 1)) return array;
  void *moved = realloc(array, (count ? count * 2 : 1) * size);
  if (!moved) _exit(70);
  return moved;
}

static bool take_u32(const struct field *field, uint32_t *value) {
  if (field->length != 4) return false;
  *value = read_u32(field->bytes);
  return true;
}

static bool take_string(const struct field *field, const char **text) { return (*text = field_string(field)) != NULL; }

static bool take_into(const struct field *field, struct strings *strings) {
  const char *text = field_string(field);
  if (text) add_string(strings, text);
  return text != NULL;
}

static bool parse_mount_field(struct step_spec *step, const struct field *field) {
  if (step->mount_count == 0) return false;
  struct mount_spec *mount = &step->mounts[step->mount_count - 1];
  switch (field->tag) {
  case FIELD_MOUNT_TARGET: return take_string(field, &mount->target);
  case FIELD_MOUNT_SOURCE: return take_string(field, &mount->source);
  case FIELD_MOUNT_SUBPATH: return take_string(field, &mount->subpath);
  case FIELD_MOUNT_SCRATCH: return take_string(field, &mount->scratch);
  case FIELD_MOUNT_LOWER: return take_into(field, &mount->lowers);
  case FIELD_MOUNT_MODE: return take_u32(field, &mount->mode);
  case FIELD_MOUNT_UID: return take_u32(field, &mount->uid);
  case FIELD_MOUNT_GID: return take_u32(field, &mount->gid);
  case FIELD_MOUNT_SIZE:
    if (field->length != 8) return false;
    mount->size = read_u64(field->bytes);
    return true;
  case FIELD_MOUNT_DEVICE:
    if (field->length != 12) return false;
    mount->major_number = read_u32(field->bytes);
    mount->minor_number = read_u32(field->bytes + 4);
    mount->access = read_u32(field->bytes + 8);
    return true;
  case FIELD_MOUNT_CONTENT:
    mount->content = field->bytes;
    mount->content_length = field->length;
    return true;
  default: return false;
  }
}

static bool parse_list_field(struct step_spec *step, const struct field *field) {
  switch (field->tag) {
  case FIELD_ADDITIONAL_GID: {
    uint32_t gid;
    if (!take_u32(field, &gid)) return false;
    step->additional_gids = grown(step->additional_gids, step->additional_gid_count, sizeof *step->additional_gids);
    step->additional_gids[step->additional_gid_count++] = gid;
    return true;
  }
  case FIELD_RLIMIT:
    if (field->length != 20) return false;
    step->rlimits = grown(step->rlimits, step->rlimit_count, sizeof *step->rlimits);
    step->rlimits[step->rlimit_count++] =
        (struct rlimit_spec){read_u32(field->bytes), read_u64(field->bytes + 4), read_u64(field->bytes + 12)};
    return true;
  case FIELD_MOUNT: {
    if (field->length != 8) return false;
    uint32_t kind = read_u32(field->bytes), flags = read_u32(field->bytes + 4);
    if (kind < MOUNT_BIND || kind > MOUNT_DEVICE) return false;
    step->mounts = grown(step->mounts, step->mount_count, sizeof *step->mounts);
    step->mounts[step->mount_count++] = (struct mount_spec){.kind = kind, .mode = MODE_OF_TARGET, .readonly = flags & MOUNT_READONLY, .flags = flags};
    return true;
  }
  default: return parse_mount_field(step, field);
  }
}

static bool parse_limit(struct limit_spec *limits, const struct field *field) {
  if (field->length != 12) return false;
  int64_t *const values[] = {&limits->memory, &limits->memory_swap, &limits->cpu_shares, &limits->cpu_weight, &limits->cpu_quota, &limits->cpu_period};
  uint32_t kind = read_u32(field->bytes);
  if (kind >= sizeof values / sizeof *values) return false;
  *values[kind] = (int64_t)read_u64(field->bytes + 4);
  return limits->any = true;
}

static bool parse_limit_field(struct step_spec *step, const struct field *field) {
  switch (field->tag) {
  case FIELD_LIMIT: return parse_limit(&step->limits, field);
  case FIELD_LIMIT_CPUS: return step->limits.any = take_string(field, &step->limits.cpus);
  case FIELD_LIMIT_MEMS: return step->limits.any = take_string(field, &step->limits.mems);
  case FIELD_CGROUP_PARENT: return step->limits.any = take_string(field, &step->limits.parent);
  default: return parse_list_field(step, field);
  }
}

static bool parse_field(struct step_spec *step, const struct field *field) {
  switch (field->tag) {
  case FIELD_LOWER: return take_into(field, &step->lowers);
  case FIELD_ARG: return take_into(field, &step->args);
  case FIELD_ENV: return take_into(field, &step->env);
  case FIELD_UPPER: return take_string(field, &step->upper);
  case FIELD_ROOT_DIRECTORY: return take_string(field, &step->directory);
  case FIELD_WORK: return take_string(field, &step->work);
  case FIELD_CWD: return take_string(field, &step->cwd);
  case FIELD_HOSTNAME: return take_string(field, &step->hostname);
  case FIELD_UID: return take_u32(field, &step->uid);
  case FIELD_GID: return take_u32(field, &step->gid);
  case FIELD_FLAGS: return take_u32(field, &step->flags);
  case FIELD_OWN_IDS:
    if (field->length != 8) return false;
    step->own_uid = read_u32(field->bytes), step->own_gid = read_u32(field->bytes + 4);
    return step->keeps_ids = true;
  case FIELD_HOSTS: step->hosts = (struct bytes){field->bytes, field->length}; return true;
  case FIELD_RESOLV_CONF: step->resolv_conf = (struct bytes){field->bytes, field->length}; return true;
  case FIELD_SHM_SIZE:
    if (field->length != 8) return false;
    step->shm_size = read_u64(field->bytes);
    return true;
  default: return parse_limit_field(step, field);
  }
}

static bool is_device_type(mode_t mode) { return S_ISCHR(mode) || S_ISBLK(mode) || S_ISFIFO(mode); }

static bool complete(const struct step_spec *step) {
  if (step->args.count == 0 || !step->cwd || !step->hostname || !step->upper != !step->work) return false;
  if (step->directory && (step->upper || step->lowers.count || step->directory[0] != '/')) return false;
  for (size_t i = 0; i < step->mount_count; i++) {
    const struct mount_spec *mount = &step->mounts[i];
    if (!mount->target) return false;
    if (mount->kind == MOUNT_BIND && !mount->source) return false;
    if (mount->kind == MOUNT_DEVICE && (!mount->source || !is_device_type(mount->mode))) return false;
    if (mount->kind == MOUNT_OVERLAY && !mount->scratch) return false;
  }
  return true;
}

bool parse_step(const uint8_t *payload, size_t length, struct step_spec *step) {
  struct cursor cursor = {payload, payload + length};
  struct field field;
  *step = (struct step_spec){0};
  int more;
  while ((more = next_field(&cursor, &field)) > 0)
    if (!parse_field(step, &field)) return false;
  return more == 0 && complete(step);
}

void free_step(struct step_spec *step) {
  for (size_t i = 0; i < step->mount_count; i++) free(step->mounts[i].lowers.items);
  free(step->lowers.items);
  free(step->args.items);
  free(step->env.items);
  free(step->additional_gids);
  free(step->mounts);
  free(step->rlimits);
}

bool brings_mount(const struct step_spec *step, const char *target) {
  for (size_t i = 0; i < step->mount_count; i++)
    if (!strcmp(step->mounts[i].target, target)) return true;
  return false;
}
