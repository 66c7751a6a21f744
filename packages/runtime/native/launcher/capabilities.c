#include "capabilities.h"

#include <linux/capability.h>

// On the host's network these reach beyond the step: it would read what other programs send, and take the ports of
// services. Docker gives a step a network of its own.
#define NETWORK_CAPABILITIES (1ull << CAP_NET_BIND_SERVICE | 1ull << CAP_NET_RAW)

uint64_t capabilities_of(const struct step_spec *step) { return DEFAULT_CAPABILITIES & ~(step->flags & STEP_OWN_NETWORK ? 0 : NETWORK_CAPABILITIES); }
