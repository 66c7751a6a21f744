#define _GNU_SOURCE
#include "policy.h"

#include <arpa/inet.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "netlink.h"
#include "rules.h"

// Longer names are left out: what is told is to be pasted into a command.
#define NAME_SIZE 48

#define CHAINS 4

struct chain {
  uint8_t family;
  char table[NAME_SIZE], name[NAME_SIZE];
};

struct found {
  struct chain chains[CHAINS];
  size_t count;
  bool has_docker_chain; // in `ip filter`, where Docker keeps it
};

static bool is_in_ip_filter(const struct chain *chain) { return chain->family == FAMILY_IPV4 && !strcmp(chain->table, "filter"); }

struct attributes {
  const void *bytes;
  size_t length;
};

static bool get_text(struct attributes from, uint16_t type, char text[NAME_SIZE]) {
  size_t size;
  const char *value = find_attribute(from.bytes, from.length, type, &size);
  if (!value || !size || size > NAME_SIZE || value[size - 1]) return false;
  memcpy(text, value, size);
  return true;
}

// A number that is never met, where there is none.
static uint32_t get_be32(struct attributes from, uint16_t type) {
  size_t size;
  uint32_t value;
  const void *bytes = find_attribute(from.bytes, from.length, type, &size);
  if (!bytes || size != sizeof value) return UINT32_MAX;
  memcpy(&value, bytes, sizeof value);
  return ntohl(value);
}

// Its policy accepts, but its last rule rejects what is of no zone that lets it through.
static bool is_of_firewalld(const struct chain *chain) { return chain->family == FAMILY_INET && !strcmp(chain->table, "firewalld"); }

static void take_chain(const struct nlmsghdr *entry, void *context) {
  struct found *found = context;
  const struct nfgenmsg *header = NLMSG_DATA(entry);
  const size_t before = NLMSG_HDRLEN + NLMSG_ALIGN(sizeof *header);
  if (entry->nlmsg_type != (NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWCHAIN) || entry->nlmsg_len < before) return;
  if (header->nfgen_family != FAMILY_IPV4 && header->nfgen_family != FAMILY_INET) return;
  struct attributes all = {(const uint8_t *)entry + before, entry->nlmsg_len - before}, hook = {0};
  struct chain chain = {.family = header->nfgen_family};
  if (!get_text(all, NFTA_CHAIN_TABLE, chain.table) || !get_text(all, NFTA_CHAIN_NAME, chain.name)) return;
  if (is_in_ip_filter(&chain) && !strcmp(chain.name, "DOCKER-USER")) found->has_docker_chain = true;
  hook.bytes = find_attribute(all.bytes, all.length, NFTA_CHAIN_HOOK, &hook.length);
  if (!hook.bytes || get_be32(hook, NFTA_HOOK_HOOKNUM) != HOOK_FORWARD) return;
  if (get_be32(all, NFTA_CHAIN_POLICY) != VERDICT_DROP && !(is_of_firewalld(&chain) && !strcmp(chain.name, "filter_FORWARD"))) return;
  if (found->count < CHAINS) found->chains[found->count++] = chain;
}

bool name_dropping_chains(int tables, char *text, size_t size) {
  struct found found = {0};
  struct netlink_messages messages = {0};
  begin_table_message(&messages, NFT_MSG_GETCHAIN, NLM_F_DUMP, FAMILY_ALL);
  snprintf(text, size, "a table");
  if (ask_for_list(tables, &messages, take_chain, &found)) return false;
  size_t used = 0;
  for (size_t i = 0; i < found.count && used < size; i++) {
    const struct chain *chain = &found.chains[i];
    used += (size_t)snprintf(text + used, size - used, "%schain %s of table %s %s%s", i ? ", " : "", chain->name,
                             chain->family == FAMILY_IPV4 ? "ip" : "inet", chain->table, is_in_ip_filter(chain) && found.has_docker_chain ? " (with DOCKER-USER)" : "");
  }
  return found.count > 0;
}
