// Which addresses the network of a step takes.
#ifndef TS_OCI_SUBNET_H
#define TS_OCI_SUBNET_H

#include <stdbool.h>
#include <stdint.h>

// Interfaces of ours on the host: the prefix, then the address of that end, in hex.
#define LINK_PREFIX "tsb"

enum { USUAL_MTU = 1500 };

struct surroundings {
  uint32_t range; // private addresses that no route of this namespace leads to (those of steps aside): the first; 0: all are taken
  uint32_t size;  // how many
  uint32_t mtu;   // of the way outside; 0: there is none
  char uplink[16]; // its interface
  bool is_ipv6_only; // there is one for IPv6
};

// Looks at the routes, by a socket of rtnetlink. `outside`: an address there. 0 or an errno.
int look_around(int route, uint32_t outside, struct surroundings *found);

#endif
