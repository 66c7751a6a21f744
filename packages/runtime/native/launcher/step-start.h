#ifndef TS_OCI_STEP_START_H
#define TS_OCI_STEP_START_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "config.h"
#include "input.h"
#include "limits.h"
#include "spec.h"

struct running {
  uint32_t id;
  pid_t pid;
  int pidfd, streams[2], status;
  struct step_input input;
  int life; // its end is the end of a step without namespaces; -1 for others
  int wait_status;
  pid_t supervisor;  // or 0
  bool unsupervised; // it could not go on without one
  struct step_cgroups *cgroups; // of its own, or NULL
  struct step_network *network; // of the pool, or NULL
  bool insecure;
  char *work;      // the overlay's work directory
  char *directory; // the plain directory that was its root
  int held;        // that directory, or -1
};

// Starts it and fills in the entry; 0, or an errno, with `failure` where that says more.
int start_step(struct executor_config *config, const struct step_spec *step, struct running *entry, struct limit_failure *failure);

#endif
