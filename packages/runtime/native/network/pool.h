// Networks of steps: namespaces that are joined to a router by a pair of veths, behind NAT. As root the router is the machine; else, and
// where the machine does not route, a namespace of ours, which pasta leads outside. Kept by descriptors alone, so whatever ends the executor ends them.
#ifndef TS_OCI_POOL_H
#define TS_OCI_POOL_H

#include <stdbool.h>
#include <stdint.h>

#include "namespace.h"

// What a step that asks for no network in particular gets.
enum default_network { NETWORK_OF_HOST = 0, NETWORK_BEHIND_NAT = 1, NETWORK_BY_PASTA = 2 };

// Whose namespaces the executor may make and join: none, those of its user namespace (inside which each step has one of its own,
// or not), the machine's.
enum network_rights { RIGHTS_NONE, RIGHTS_OF_OUTER_USER_NAMESPACE, RIGHTS_OF_USER_NAMESPACE, RIGHTS_OF_ROOT };

struct network_offer {
  enum default_network kind;
  char reason[400];  // why it is the host's
  uint32_t resolver; // an address at which steps reach the machine's own name server; 0: none
};

struct step_network {
  struct network_descriptors inside;
  uint64_t sent; // packets of its eth0, when it was kept
};

// Finds out what this place allows, and makes the first network. Once: later calls tell the same.
// `pasta` is where that program is, or empty; `outer_procs` where it leaves the cgroup that lets no step open the tunnel device, or -1.
const struct network_offer *prepare_networks(enum network_rights rights, const char *pasta, int outer_procs);
// One that nobody uses; NULL with errno where none can be made.
struct step_network *take_network(void);
// `is_clean`: the step could not change it. It is kept if the step sent nothing outside, and unless sockets outlived their processes: what
// is answered late would reach the next step.
void give_network_back(struct step_network *network, bool is_clean);

#endif
