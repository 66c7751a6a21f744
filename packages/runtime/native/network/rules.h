// Rules of nf_tables as messages: a transaction, a table, its chains, and expressions one after the other.
#ifndef TS_OCI_RULES_H
#define TS_OCI_RULES_H

#include <linux/netfilter/nf_tables.h>
#include <stdint.h>

#include "netlink.h"

// Of <linux/netfilter.h> and <linux/netfilter_ipv4.h>, which share names with those of a C library.
enum { FAMILY_ALL = 0, FAMILY_INET = 1, FAMILY_IPV4 = 2, FAMILY_IPV6 = 10 };
enum { HOOK_PREROUTING = 0, HOOK_FORWARD = 2, HOOK_POSTROUTING = 4 };
enum { PRIORITY_RAW = -300, PRIORITY_FILTER = 0, PRIORITY_SOURCE_NAT = 100 };
enum verdict { VERDICT_DROP = 0, VERDICT_ACCEPT = 1 };

struct chain_kind {
  const char *name, *type; // "filter" or "nat"
  uint32_t hook;
  int32_t priority;
};

void begin_transaction(struct netlink_messages *messages);
void end_transaction(struct netlink_messages *messages);
// `kind` is NFT_MSG_*. The common header of every message about tables.
void begin_table_message(struct netlink_messages *messages, uint16_t kind, uint16_t flags, uint8_t family);
// A table that ends with the socket that made it.
void put_owned_table(struct netlink_messages *messages, const char *table);
void put_chain(struct netlink_messages *messages, const char *table, const struct chain_kind *chain);
// Expressions follow; `end_rule` takes what this returned.
struct open_rule {
  size_t expressions;
};
struct open_rule begin_rule(struct netlink_messages *messages, uint8_t family, const char *table, const char *chain, uint16_t flags);
void end_rule(struct netlink_messages *messages, struct open_rule rule);

// The interface of that key (NFT_META_IIFNAME, NFT_META_OIFNAME) begins with the text.
void match_link_prefix(struct netlink_messages *messages, uint32_t key, const char *prefix);
void match_family(struct netlink_messages *messages, uint8_t family);
void match_destination(struct netlink_messages *messages, uint32_t address);
// 127.0.0.0/8.
void match_loopback_destination(struct netlink_messages *messages);
// Of TCP or UDP.
void match_destination_port(struct netlink_messages *messages, uint16_t port);
// No route leads back to the source by the interface that it came from.
void match_forged_source(struct netlink_messages *messages);
// Connection states, bits of NF_CT_STATE_BIT: with `one_of`, in one of them, else in none.
void match_connection(struct netlink_messages *messages, uint32_t states, bool one_of);
void count(struct netlink_messages *messages);
void masquerade(struct netlink_messages *messages);
void give_verdict(struct netlink_messages *messages, enum verdict verdict);

#endif
