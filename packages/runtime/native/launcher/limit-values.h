// Which controllers a limit takes, and the files of each version in which it is written.
#ifndef TS_OCI_LIMIT_VALUES_H
#define TS_OCI_LIMIT_VALUES_H

#include <stdbool.h>

#include "spec.h"

struct limit_failure {
  int error;
  char operation[400];
};

enum controller { MEMORY, CPU, CPUSET, PIDS, CONTROLLERS };
extern const char *const controller_names[CONTROLLERS];

bool is_limit_wanted(const struct limit_spec *limits, enum controller controller);
// False, with what failed. The operation begins with "limit NAME: ": the coordinator knows it by that.
bool fail_limit(struct limit_failure *failure, int error, const char *format, ...) __attribute__((format(printf, 3, 4)));
// Writes what is asked for into a cgroup of version 1, of one controller.
bool set_version_1_limits(enum controller controller, const char *directory, const char *parent, const struct limit_spec *limits, struct limit_failure *failure);
// The same of version 2, of all of them.
bool set_unified_limits(const char *directory, const struct limit_spec *limits, struct limit_failure *failure);
bool set_process_limit(const char *directory, struct limit_failure *failure);

#endif
