// Where in version 2 a step's cgroup can be made.
#ifndef TS_OCI_LIMIT_PLACE_H
#define TS_OCI_LIMIT_PLACE_H

#include "limit-values.h"

// The first that is asked for of those that `unified` marks; for messages.
const char *first_wanted_controller(const struct limit_spec *limits, const bool *unified);
// A directory (PATH_MAX) whose children have what is asked for of the controllers that `unified` marks. False with the failure.
bool find_limit_place(const struct limit_spec *limits, const bool *unified, char *place, struct limit_failure *failure);

#endif
