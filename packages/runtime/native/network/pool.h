// Networks of steps: namespaces that are joined to this one by a pair of veths, behind NAT. Kept by descriptors alone, so whatever ends
// the executor ends them.
#ifndef TS_OCI_POOL_H
#define TS_OCI_POOL_H

#include <stdbool.h>
#include <stdint.h>

// What a step that asks for no network in particular gets.
enum default_network { NETWORK_OF_HOST = 0, NETWORK_BEHIND_NAT = 1 };

struct network_offer {
  enum default_network kind;
  char reason[400]; // why it is the host's
};

struct step_network {
  int namespace; // a descriptor, or -1
  int route;     // a socket of rtnetlink in it
  int sockets[2]; // its /proc/net/sockstat and sockstat6
  int counters;   // its /proc/net/dev
  uint64_t sent;  // packets of its eth0, when it was kept
};

// Finds out what this place allows, and makes the first network. Once: later calls tell the same.
// `may_route`: this is root of the namespaces that the host's network belongs to.
const struct network_offer *prepare_networks(bool may_route);
// One that nobody uses; NULL with errno where none can be made.
struct step_network *take_network(void);
// `is_clean`: the step could not change it. It is kept if the step sent nothing outside, and unless sockets outlived their processes: what
// is answered late would reach the next step.
void give_network_back(struct step_network *network, bool is_clean);

#endif
