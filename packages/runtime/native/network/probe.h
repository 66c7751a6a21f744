// Whether what a step sends outside is let through by every table of this namespace: by sending something.
#ifndef TS_OCI_PROBE_H
#define TS_OCI_PROBE_H

#include <stdbool.h>

#include "firewall.h"

// Sends a packet from inside of `namespace` to nobody, and looks whether it would have left. `host` is the namespace to come back to.
bool is_let_through(int namespace, int host, int tables, const struct firewall *firewall);

#endif
