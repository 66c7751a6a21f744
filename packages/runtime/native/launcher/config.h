#ifndef TS_OCI_CONFIG_H
#define TS_OCI_CONFIG_H

#include <limits.h>
#include <linux/filter.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

// What every step of this executor shares.
struct executor_config {
  char state[PATH_MAX];  // our directory below the state directory
  const char *trees;     // where the file system that is descriptor 5 is attached for us alone, or NULL
  bool rootless;         // in a user namespace of our own: overlay's attributes are user.*, devices are bound
  bool chroot;           // no namespaces at all: a step's root is a directory that it is locked into
  bool single_id;        // setgroups is denied, only id 0 exists
  bool shifted;          // the caller's own ids lie behind those of steps, which therefore get a namespace inside ours
  uint32_t uid_count, gid_count; // ids of steps, where there is a user namespace
  uid_t outer_uid;       // who root of a shifted map is outside
  gid_t outer_gid;
  bool filters_devices;  // a cgroup says which devices open
  bool unified_devices;  // it is one of version 2
  int settled;           // its end says that the launcher has done what steps wait for; -1 once it has
  int proc;              // a /proc for supervisors, attached nowhere; with `outer_proc` the machine's, whose numbers are another namespace's
  bool outer_proc;
  int outer_procs;       // `cgroup.procs` of the cgroup outside that one, or -1
  // Of one step:
  bool shows_outer_proc; // its /proc is the visible one, as a new one is refused: it tells of processes that are not the step's
  unsigned nodev;        // mount attribute of everything that it can write: 0 where devices are filtered
  int files;             // a private tmpfs outside its root: files and nodes of ours, names of layers
  int input;             // its standard input: a null device of ours, whatever it mounts over /dev
  struct sock_fprog filter;
  struct buffer *requests;               // what was read from the parent and may hold secrets
};

#endif
