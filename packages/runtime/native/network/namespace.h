// Network namespaces, held by descriptors alone: whatever ends the executor ends them.
#ifndef TS_OCI_NAMESPACE_H
#define TS_OCI_NAMESPACE_H

#include <stdbool.h>

// What is opened in one while somebody is in it.
struct network_descriptors {
  int namespace;  // itself
  int route;      // a socket of rtnetlink
  int tables;     // one of netfilter
  int sockets[2]; // its /proc/net/sockstat and sockstat6; the second is -1 where there is no IPv6
  int counters;   // its /proc/net/dev
};
#define NO_NETWORK ((struct network_descriptors){-1, -1, -1, {-1, -1}, -1})

// Makes one, with loopback up, and opens all of it. `home` is the namespace of this process, to which it comes back; or -1, where that is
// not possible, as the machine's belongs to a root that we are not: then a child makes it. 0 or an errno.
// `is_outer`: who uses it is in a user namespace inside ours, so that no capability counts in it.
int open_network(struct network_descriptors *network, int home, bool is_outer);
// A file of /proc/sys, of the namespace that this process is in; one that cannot be written stays as it is.
void write_setting(const char *path, const char *value);
void close_network_descriptors(struct network_descriptors *network);

#endif
