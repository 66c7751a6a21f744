// The process below which all of a step without namespaces runs, and which ends it.
#ifndef TS_OCI_CHROOT_SENTINEL_H
#define TS_OCI_CHROOT_SENTINEL_H

#include <linux/filter.h>
#include <stdbool.h>

#include "guarded.h"

struct watched {
  const struct guarded *guarded;
  struct sock_fprog filter; // that asks the supervisor
  int socket;               // to it
  int down;                 // its end is the step's end
  int proc;                 // the container's /proc
  bool is_scoped;           // Landlock keeps signals inside
};

_Noreturn void watch_step(const struct watched *watched);

#endif
