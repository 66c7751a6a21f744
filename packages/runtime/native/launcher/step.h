// A step: what it is (parsed from a RUN_STEP frame) and the parts that set it up inside its own namespaces.
#ifndef TS_OCI_STEP_H
#define TS_OCI_STEP_H

#include <limits.h>
#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct strings {
  const char **items; // always ends with NULL
  size_t count;
};

// A tmpfs takes the mode of the directory that it covers; where there is none, that of /tmp. As runc does.
#define MODE_OF_TARGET 0xffffffffu
#define TMPFS_MODE 01777

enum mount_kind { MOUNT_BIND = 1, MOUNT_OVERLAY = 2, MOUNT_TMPFS = 3, MOUNT_SECRET = 4 };

struct mount_spec {
  enum mount_kind kind;
  bool readonly;
  const char *target, *source, *subpath, *scratch;
  struct strings lowers; // top first
  uint64_t size;
  uint32_t mode, uid, gid; // mode of a tmpfs: MODE_OF_TARGET, or as asked for
  const uint8_t *content;
  size_t content_length;
};

struct rlimit_spec {
  uint32_t resource;
  uint64_t soft, hard;
};

struct bytes {
  const uint8_t *at;
  size_t length;
};

struct step_spec {
  struct strings lowers, args, env; // lowers top first
  const char *upper, *work, *cwd, *hostname;
  struct bytes hosts, resolv_conf;
  uint32_t uid, gid, flags;
  gid_t *additional_gids;
  size_t additional_gid_count;
  struct mount_spec *mounts;
  size_t mount_count;
  struct rlimit_spec *rlimits;
  size_t rlimit_count;
  uint64_t shm_size;
};

// What every step of this executor shares.
struct executor_config {
  char state[PATH_MAX];  // our directory below the state directory
  bool rootless;         // in a user namespace of our own: overlay's attributes are user.*, devices are bound
  bool single_id;        // setgroups is denied, only id 0 exists
  bool filters_devices;  // a cgroup says which devices open
  int outer_procs;       // `cgroup.procs` of the cgroup outside that one, or -1
  // Of one step:
  unsigned nodev;        // mount attribute of everything that it can write: 0 where devices are filtered
  int files;             // a private tmpfs outside its root: files and nodes of ours, names of layers
  int input;             // its standard input: a null device of ours, whatever it mounts over /dev
  struct sock_fprog filter;
  char *arguments_start, *arguments_end; // of the process, shown in /proc/PID/cmdline
  struct buffer *requests;               // what was read from the parent and may hold secrets
};

// Parses a RUN_STEP payload; strings point into it. False when it is malformed.
bool parse_step(const uint8_t *payload, size_t length, struct step_spec *step);
void free_step(struct step_spec *step);
void add_string(struct strings *strings, const char *text);

// The child's whole life: never returns. Descriptors: standard output and error, and the status pipe.
struct step_descriptors {
  int out, err, status;
};
_Noreturn void run_step(const struct executor_config *config, const struct step_spec *step, uint32_t id, struct step_descriptors fds);

// Reports a failed set-up on the status pipe ('E', errno, operation) and ends the process.
_Noreturn void step_fail(int error, const char *format, ...) __attribute__((format(printf, 2, 3)));

// --- overlay.c
// Mounts an overlay (lowers top first) on the directory `at` and returns a descriptor of its root.
int mount_overlay(const struct executor_config *config, const struct strings *lowers, const char *upper, const char *work, const char *at);
// A new file system of `type` with options "key", "value", …, NULL (value "" sets a flag); fails the step on errors.
int make_file_system(const char *type, unsigned attributes, const char *const *options);

// --- resolve.c
struct resolved {
  int fd;                // the deepest object that exists, O_PATH
  char path[PATH_MAX];   // where it lies once links are followed: no leading slash; the missing part included
  size_t existing;       // length of the part of `path` that exists
  bool missing;
  bool magic;            // why it failed: a link of /proc that is no text
};
// Follows `path` inside `root`; no link leads out. 0, or -1 with errno.
int resolve_in_root(int root, const char *path, struct resolved *resolved);
struct new_place {
  bool file;    // the last part
  mode_t mode;  // of the last part when it is a directory; 0: 0755
  uid_t uid;    // of every part
  gid_t gid;
};
// Makes what is missing, directories with mode 0755; returns O_PATH of the last.
int create_missing(const struct resolved *resolved, const struct new_place *place);

// --- stubs.c
struct target {
  const char *path;
  bool file;
  bool no_links; // refuse an image that has a link there
  mode_t mode;   // of a directory that has to be made; 0: 0755
};
// Makes the mount points in a directory that becomes the lowest layer.
void make_low_stubs(const char *directory, const struct target *targets, size_t count);
// Makes mount points that a layer hides (a whiteout, a link to nowhere) in a directory that becomes the topmost lower
// layer; parents take mode, owner and time of what `root` shows. True when one was needed.
bool make_top_stubs(int root, const char *directory, const struct target *targets, size_t count);

// --- rootfs.c
// Whether the step mounts something of its own in the very place of one of our mounts: it takes that one's place.
bool brings_mount(const struct step_spec *step, const char *target);
// Mounts root, /proc, /dev, /sys, /etc files and the step's mounts; returns a descriptor of the root.
int build_rootfs(struct executor_config *config, const struct step_spec *step, uint32_t id);

// --- mounts.c
struct plan {
  struct target target;
  int tree;                       // detached mount; -1: nothing is mounted, or a tmpfs that is made when it is attached
  const struct mount_spec *tmpfs; // its mode depends on the target
};
void prepare_mount(const struct executor_config *config, const struct mount_spec *mount, struct plan *plan);
int write_file(int directory, const char *name, const uint8_t *content, size_t length, mode_t mode, uid_t uid, gid_t gid);
void attach(const struct executor_config *config, int root, const struct plan *plan);

// --- pseudo.c
void mount_proc(const struct executor_config *config, int root, bool insecure);
void mount_dev(struct executor_config *config, const struct step_spec *step, int root);
void mount_sys(const struct executor_config *config, int root, bool insecure, bool own_network);

// --- identity.c
void drop_privileges(const struct executor_config *config, const struct step_spec *step);

// --- seccomp.c
// Compiles the policy once; the program lives as long as the process.
struct sock_fprog compile_seccomp(void);

#endif
