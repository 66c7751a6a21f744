// The program pasta: it carries what a network namespace sends by sockets of the user's, so no right over the machine's network is needed.
#ifndef TS_OCI_PASTA_H
#define TS_OCI_PASTA_H

#include <stddef.h>
#include <stdint.h>

// The interface that it makes.
#define UPLINK "uplink"
// Addresses that it takes: those below.
enum { UPLINK_SIZE = 8, UPLINK_PREFIX = 29, UPLINK_GATEWAY = 1, UPLINK_OWN = 2, UPLINK_RESOLVER = 3 };
// The longest packet that it takes; how long those on the way are it sees to itself.
#define UPLINK_MTU 65520

struct pasta {
  const char *program;
  int namespace;   // the network that it leads outside
  uint32_t subnet; // the first of UPLINK_SIZE addresses; who asks UPLINK_RESOLVER for a name asks the machine's own server, which may be on loopback
  int outer_procs; // where it leaves a cgroup that does not let the tunnel device open, or -1
};

// Starts it and waits until its interface is there. It ends with the executor, in whose pid namespace it is. 0, or an errno with a
// reason (of `size`).
int start_pasta(const struct pasta *pasta, char *reason, size_t size);

#endif
