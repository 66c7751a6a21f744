// Interfaces, addresses and routes by rtnetlink.
#ifndef TS_OCI_LINK_H
#define TS_OCI_LINK_H

#include <stdint.h>

// Each answers 0 or an errno. Addresses are in the order of the host.

struct pair {
  const char *name;      // here; `eth0` there
  int namespace;         // a descriptor
  uint32_t mtu;          // what is longer than the way outside takes, some hosts lose without a word
  uint32_t addresses[2]; // here and there
};

// Both ends are down and have no addresses yet. EEXIST where the name is taken.
int make_pair(int route, const struct pair *pair);
// Brings our end up: it routes for what is behind it, and takes no advice from there.
int open_router_end(int route, int index);
int add_address(int route, int index, uint32_t address, unsigned prefix);
int add_default_route(int route, uint32_t gateway);
// The interface by which packets to the address leave, by all rules and tables; 0: none. `family` AF_INET or AF_INET6; the address in the order
// of the network.
int find_way(int route, uint8_t family, const void *address);
// By any socket of the namespace; 0 where there is none.
int link_index(int socket, const char *name);
int bring_up(int socket, const char *name);
// Waits until an interface that is up sends what it is given: the kernel sees to it some moments after both ends are up, and throws
// away what comes before. What is lost then is an ARP question, which is asked again after a second.
int wait_for_carrier(int route, int index);

#endif
