// The rules under which the networks of steps meet the host's: one table, which ends with the socket that made it.
#ifndef TS_OCI_FIREWALL_H
#define TS_OCI_FIREWALL_H

#include <stdint.h>

#define TABLE_NAME_SIZE 32

// A table, and where it expects a probe: what a step sends there is counted on its way, and goes nowhere. Each has another, as it meets
// the tables of other executors as well, which must neither count nor stop it.
struct firewall {
  char name[TABLE_NAME_SIZE];
  uint32_t probe_address; // that belongs to nobody (RFC 5737)
  uint16_t probe_port;    // of UDP
};

// 0 or an errno.
int raise_firewall(int tables, struct firewall *firewall);
// How many packets for the probe's address came in from steps, and how many of them were let through to go out.
int count_probes(int tables, const struct firewall *firewall, uint64_t *arrived, uint64_t *forwarded);

#endif
