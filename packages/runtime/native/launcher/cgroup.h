// Cgroups of both versions: where this process is in a hierarchy, and directories of ours in it.
#ifndef TS_OCI_CGROUP_H
#define TS_OCI_CGROUP_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

// Every directory of ours begins so; what follows says whose it is.
#define CGROUP_DEVICES "ts-oci-devices-"
#define CGROUP_PIDS "ts-oci-pids-"
#define CGROUP_STEP "ts-oci-step-"

struct hierarchy {
  bool unified;
  char mount[PATH_MAX]; // its root as far as it is seen
  char own[PATH_MAX];   // the directory of this process in it
};

// The hierarchy of version 1 that has this controller. False where it is none of version 1, or not to be seen.
bool find_version_1(const char *controller, struct hierarchy *hierarchy);
// That of version 2.
bool find_unified(struct hierarchy *hierarchy);
// Takes away what killed launchers and executors left in a directory. The kernel keeps those in which a process is.
void sweep_cgroups(const char *parent);
// A name in `parent` that nobody else has. False when it is too long.
bool name_cgroup(char *path, const char *parent, const char *prefix);
// One write. False with errno.
bool write_cgroup_file(const char *directory, const char *file, const char *text);
// The whole of a small file, without its last newline. False with errno.
bool read_cgroup_file(const char *directory, const char *file, char *text, size_t size);
// Whether a list of words, as `cgroup.controllers` is one, has this one.
bool has_word(const char *list, const char *word);
// How many processes of a step, and of all steps of an executor, may live: what systemd gives a service, and no less than podman
// a container.
unsigned default_process_limit(void);

#endif
