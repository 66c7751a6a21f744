// What is known of a step without namespaces when its root is ready.
#ifndef TS_OCI_GUARDED_H
#define TS_OCI_GUARDED_H

#include "config.h"
#include "spec.h"

struct guarded {
  const struct executor_config *config;
  const struct step_spec *step;
  int root, cwd, input; // descriptors of the step's root, working directory, standard input
  int order;            // its end is the step's end
  int result;           // where the wait status of the command goes
  int lock;             // held until all of the step has ended
};

#endif
