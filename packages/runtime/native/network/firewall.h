// The rules under which the networks of steps meet the host's: one table, which ends with the socket that made it.
#ifndef TS_OCI_FIREWALL_H
#define TS_OCI_FIREWALL_H

#include <stdint.h>

#define TABLE_NAME_SIZE 32

// An address that belongs to nobody (RFC 5737): what a step sends there is counted on its way, and goes nowhere.
#define PROBE_ADDRESS 0xc6336401u // 198.51.100.1

// `name` gets the table's. 0 or an errno.
int raise_firewall(int tables, char name[TABLE_NAME_SIZE]);
// How many packets for the probe's address came in from steps, and how many of them were let through to go out.
int count_probes(int tables, const char *name, uint64_t *arrived, uint64_t *forwarded);

#endif
