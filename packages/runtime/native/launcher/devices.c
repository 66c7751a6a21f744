// A build's RUN has CAP_MKNOD, as in Docker, so a step of root's can make a node of any device: what opens is decided by
// a cgroup. Its rules are the list that runc gives every container, but for the tunnel device: a step shares the host's
// network. One cgroup serves all steps of an executor, which they inherit: a step costs nothing.
//
// Nothing locks it: a directory is removed by rmdir, which the kernel refuses while a process is in it. Another launcher
// may so sweep ours in the moment before our first process enters; then entering fails, and it is made again.
#define _GNU_SOURCE
#include "devices.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cgroup.h"
#include "spec.h"

// null, zero, full, random, urandom; tty, ptmx; the terminals of devpts.
static const struct {
  uint32_t major_number;
  int minor_number; // -1: any
} openable[] = {{1, 3}, {1, 5}, {1, 7}, {1, 8}, {1, 9}, {5, 0}, {5, 2}, {136, -1}};
enum { OPENABLE = sizeof openable / sizeof *openable };

static struct bpf_insn instruction(uint8_t code, uint8_t to, uint8_t from, int16_t offset, int32_t value) {
  return (struct bpf_insn){.code = code, .dst_reg = to, .src_reg = from, .off = offset, .imm = value};
}

// Answers 1 (allowed) in r0 for making any node, and for opening a character device of the list or one of a rule.
static int load_filter(const struct device_rule *rules, size_t count) {
  struct bpf_insn *program = calloc(14 + 3 * OPENABLE + 7 * count, sizeof *program);
  if (!program) return -1;
  unsigned length = 0;
  const uint8_t load = BPF_LDX | BPF_MEM | BPF_W, differs = BPF_JMP | BPF_JNE | BPF_K, leave = BPF_JMP | BPF_EXIT;
  enum { ANSWER = 0, CONTEXT = 1, KIND = 2, MAJOR = 3, MINOR = 4, ACCESS = 5, MORE = 6 };
  program[length++] = instruction(load, KIND, CONTEXT, offsetof(struct bpf_cgroup_dev_ctx, access_type), 0);
  program[length++] = instruction(load, MAJOR, CONTEXT, offsetof(struct bpf_cgroup_dev_ctx, major), 0);
  program[length++] = instruction(load, MINOR, CONTEXT, offsetof(struct bpf_cgroup_dev_ctx, minor), 0);
  program[length++] = instruction(BPF_ALU64 | BPF_MOV | BPF_K, ANSWER, 0, 0, 1);
  program[length++] = instruction(BPF_ALU64 | BPF_MOV | BPF_X, ACCESS, KIND, 0, 0);
  program[length++] = instruction(BPF_ALU64 | BPF_RSH | BPF_K, ACCESS, 0, 0, 16);
  program[length++] = instruction(differs, ACCESS, 0, 1, BPF_DEVCG_ACC_MKNOD);
  program[length++] = instruction(leave, 0, 0, 0, 0);
  program[length++] = instruction(BPF_ALU64 | BPF_AND | BPF_K, KIND, 0, 0, 0xffff);
  for (size_t i = 0; i < count; i++) {
    uint32_t forbidden = (rules[i].access & DEVICE_READ ? 0 : BPF_DEVCG_ACC_READ) | (rules[i].access & DEVICE_WRITE ? 0 : BPF_DEVCG_ACC_WRITE);
    program[length++] = instruction(differs, KIND, 0, 6, rules[i].block ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR);
    program[length++] = instruction(differs, MAJOR, 0, 5, (int32_t)rules[i].major_number);
    program[length++] = instruction(differs, MINOR, 0, 4, (int32_t)rules[i].minor_number);
    program[length++] = instruction(BPF_ALU64 | BPF_MOV | BPF_X, MORE, ACCESS, 0, 0);
    program[length++] = instruction(BPF_ALU64 | BPF_AND | BPF_K, MORE, 0, 0, (int32_t)forbidden);
    program[length++] = instruction(differs, MORE, 0, 1, 0);
    program[length++] = instruction(leave, 0, 0, 0, 0);
  }
  unsigned kind_differs = length;
  program[length++] = instruction(differs, KIND, 0, 0, BPF_DEVCG_DEV_CHAR);
  for (size_t i = 0; i < OPENABLE; i++) {
    bool any = openable[i].minor_number < 0;
    program[length++] = instruction(differs, MAJOR, 0, any ? 1 : 2, (int32_t)openable[i].major_number);
    if (!any) program[length++] = instruction(differs, MINOR, 0, 1, openable[i].minor_number);
    program[length++] = instruction(leave, 0, 0, 0, 0);
  }
  program[kind_differs].off = (int16_t)(length - kind_differs - 1);
  program[length++] = instruction(BPF_ALU64 | BPF_MOV | BPF_K, ANSWER, 0, 0, 0);
  program[length++] = instruction(leave, 0, 0, 0, 0);
  union bpf_attr attributes = {
      .prog_type = BPF_PROG_TYPE_CGROUP_DEVICE,
      .insns = (uint64_t)(uintptr_t)program,
      .insn_cnt = length,
      .license = (uint64_t)(uintptr_t)"GPL",
  };
  int loaded = (int)syscall(SYS_bpf, BPF_PROG_LOAD, &attributes, sizeof attributes);
  int error = errno;
  free(program);
  errno = error;
  return loaded;
}

bool filter_devices(int directory, const struct device_rule *rules, size_t count) {
  int program = load_filter(rules, count);
  if (program < 0) return false;
  union bpf_attr attributes = {
      .target_fd = (uint32_t)directory,
      .attach_bpf_fd = (uint32_t)program,
      .attach_type = BPF_CGROUP_DEVICE,
      // What an outer cgroup forbids stays forbidden.
      .attach_flags = BPF_F_ALLOW_MULTI,
  };
  bool attached = syscall(SYS_bpf, BPF_PROG_ATTACH, &attributes, sizeof attributes) == 0;
  close(program); // the cgroup holds it
  return attached;
}

static bool write_rule(int directory, const char *file, const char *rule) {
  int fd = openat(directory, file, O_WRONLY | O_CLOEXEC);
  bool written = fd >= 0 && write(fd, rule, strlen(rule)) > 0;
  if (fd >= 0) close(fd);
  return written;
}

static bool write_rules(int directory) {
  if (!write_rule(directory, "devices.deny", "a")) return false;
  // What an outer cgroup forbids cannot be allowed here; it does not open then.
  write_rule(directory, "devices.allow", "c *:* m");
  write_rule(directory, "devices.allow", "b *:* m");
  for (size_t i = 0; i < OPENABLE; i++) {
    char rule[48];
    if (openable[i].minor_number < 0) snprintf(rule, sizeof rule, "c %u:* rw", openable[i].major_number);
    else snprintf(rule, sizeof rule, "c %u:%d rw", openable[i].major_number, openable[i].minor_number);
    write_rule(directory, "devices.allow", rule);
  }
  return true;
}

bool allow_devices(int directory, const struct device_rule *rules, size_t count) {
  if (!write_rules(directory)) return false;
  for (size_t i = 0; i < count; i++) {
    char rule[64];
    snprintf(rule, sizeof rule, "%c %u:%u %s%s", rules[i].block ? 'b' : 'c', rules[i].major_number, rules[i].minor_number,
             rules[i].access & DEVICE_READ ? "r" : "", rules[i].access & DEVICE_WRITE ? "w" : "");
    if (!write_rule(directory, "devices.allow", rule)) return false;
  }
  return true;
}

bool make_device_cgroup(struct device_cgroup *cgroup, bool unified) {
  struct hierarchy hierarchy;
  *cgroup = (struct device_cgroup){.directory = -1, .own_procs = -1, .outer_procs = -1};
  if (!(unified ? find_unified(&hierarchy) : find_version_1("devices", &hierarchy))) return false;
  sweep_cgroups(hierarchy.own);
  if (!name_cgroup(cgroup->path, hierarchy.own, CGROUP_DEVICES) || mkdir(cgroup->path, 0755) < 0) {
    cgroup->path[0] = 0;
    return false;
  }
  int outer = open(hierarchy.own, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  cgroup->directory = open(cgroup->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (outer >= 0) cgroup->outer_procs = openat(outer, "cgroup.procs", O_WRONLY | O_CLOEXEC);
  if (outer >= 0) close(outer);
  bool ruled = cgroup->directory >= 0 && cgroup->outer_procs >= 0 && (unified ? filter_devices(cgroup->directory, NULL, 0) : write_rules(cgroup->directory));
  if (ruled && !unified) ruled = (cgroup->own_procs = openat(cgroup->directory, "cgroup.procs", O_WRONLY | O_CLOEXEC)) >= 0;
  if (ruled) return true;
  remove_device_cgroup(cgroup);
  return false;
}

void close_device_cgroup(struct device_cgroup *cgroup) {
  int *const descriptors[] = {&cgroup->directory, &cgroup->own_procs, &cgroup->outer_procs};
  for (size_t i = 0; i < sizeof descriptors / sizeof *descriptors; i++) {
    if (*descriptors[i] >= 0) close(*descriptors[i]);
    *descriptors[i] = -1;
  }
}

void remove_device_cgroup(struct device_cgroup *cgroup) {
  close_device_cgroup(cgroup);
  if (!cgroup->path[0]) return;
  rmdir(cgroup->path);
  char *slash = strrchr(cgroup->path, '/');
  *slash = 0;
  sweep_cgroups(cgroup->path);
  cgroup->path[0] = 0;
}
