#define _GNU_SOURCE
#include "firewall.h"

#include <endian.h>
#include <errno.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "netlink.h"
#include "rules.h"
#include "subnet.h"

#define ARRIVAL "arrival"
#define PASSAGE "passage"
#define DEPARTURE "departure"
#define DISGUISE "disguise"

static const struct chain_kind chains[] = {
    {ARRIVAL, "filter", HOOK_PREROUTING, PRIORITY_RAW},
    {PASSAGE, "filter", HOOK_FORWARD, PRIORITY_FILTER - 10},
    {DEPARTURE, "filter", HOOK_POSTROUTING, PRIORITY_SOURCE_NAT - 10},
    {DISGUISE, "nat", HOOK_POSTROUTING, PRIORITY_SOURCE_NAT},
};

static struct open_rule begin_step_rule(struct netlink_messages *messages, const char *table, const char *chain) {
  struct open_rule rule = begin_rule(messages, FAMILY_INET, table, chain, NLM_F_APPEND);
  match_link_prefix(messages, NFT_META_IIFNAME, LINK_PREFIX);
  return rule;
}

static void end_with(struct netlink_messages *messages, struct open_rule rule, enum verdict verdict) {
  give_verdict(messages, verdict);
  end_rule(messages, rule);
}

static void match_probe(struct netlink_messages *messages, const struct firewall *firewall) {
  match_destination(messages, firewall->probe_address);
  match_destination_port(messages, firewall->probe_port);
}

static void put_arrival(struct netlink_messages *messages, const struct firewall *firewall) {
  const char *table = firewall->name;
  // Steps have no IPv6: what they send raw (advertisements of routers above all, CVE-2020-13401) is not heard.
  struct open_rule rule = begin_step_rule(messages, table, ARRIVAL);
  match_family(messages, FAMILY_IPV6);
  end_with(messages, rule, VERDICT_DROP);
  // `rp_filter` of the interface alone is not enough: the larger of it and that of all counts, and 2 is the laxer.
  rule = begin_step_rule(messages, table, ARRIVAL);
  match_forged_source(messages);
  end_with(messages, rule, VERDICT_DROP);
  // `route_localnet` of all interfaces, which kube-proxy sets, would lead to what serves on our loopback alone (CVE-2020-8558).
  rule = begin_step_rule(messages, table, ARRIVAL);
  match_loopback_destination(messages);
  end_with(messages, rule, VERDICT_DROP);
  rule = begin_step_rule(messages, table, ARRIVAL);
  match_probe(messages, firewall);
  count(messages);
  end_rule(messages, rule);
}

static void put_passage(struct netlink_messages *messages, const char *table) {
  struct open_rule rule = begin_step_rule(messages, table, PASSAGE);
  match_link_prefix(messages, NFT_META_OIFNAME, LINK_PREFIX);
  end_with(messages, rule, VERDICT_DROP);
  // Whoever else knows the way to a step: only answers come in.
  rule = begin_rule(messages, FAMILY_INET, table, PASSAGE, NLM_F_APPEND);
  match_link_prefix(messages, NFT_META_OIFNAME, LINK_PREFIX);
  match_connection(messages, NF_CT_STATE_BIT(IP_CT_ESTABLISHED) | NF_CT_STATE_BIT(IP_CT_RELATED), false);
  end_with(messages, rule, VERDICT_DROP);
}

static void put_departure(struct netlink_messages *messages, const struct firewall *firewall) {
  const char *table = firewall->name;
  struct open_rule rule = begin_step_rule(messages, table, DEPARTURE);
  match_probe(messages, firewall);
  count(messages);
  end_with(messages, rule, VERDICT_DROP);
  rule = begin_step_rule(messages, table, DISGUISE);
  masquerade(messages);
  end_rule(messages, rule);
}

// 198.51.100.0/24, and the ports that no service has.
enum { PROBE_NETWORK = 0xc6336400, PROBE_HOSTS = 254, FIRST_PROBE_PORT = 0xc000 };

int raise_firewall(int tables, struct firewall *firewall) {
  uint64_t chance;
  if (getrandom(&chance, sizeof chance, 0) != sizeof chance) return errno;
  snprintf(firewall->name, sizeof firewall->name, "tsbuild-%016llx", (unsigned long long)chance);
  firewall->probe_address = PROBE_NETWORK + 1 + (uint32_t)(chance % PROBE_HOSTS);
  firewall->probe_port = (uint16_t)(FIRST_PROBE_PORT | chance >> 32);
  struct netlink_messages messages = {0};
  begin_transaction(&messages);
  put_owned_table(&messages, firewall->name);
  for (size_t i = 0; i < sizeof chains / sizeof *chains; i++) put_chain(&messages, firewall->name, &chains[i]);
  put_arrival(&messages, firewall);
  put_passage(&messages, firewall->name);
  put_departure(&messages, firewall);
  end_transaction(&messages);
  return exchange(tables, &messages);
}

struct counts {
  uint64_t arrived, forwarded;
};

// The packets that a rule's counter has seen; 0 where it has none.
static uint64_t packets_of(const void *attributes, size_t length) {
  size_t size;
  const uint8_t *elements = find_attribute(attributes, length, NFTA_RULE_EXPRESSIONS, &size);
  const uint8_t *end = elements ? elements + size : NULL;
  while (elements && elements + NLA_HDRLEN <= end) {
    const struct nlattr *element = (const struct nlattr *)elements;
    if (element->nla_len < NLA_HDRLEN || element->nla_len > end - elements) break;
    size_t body = element->nla_len - NLA_HDRLEN, data_size, packets_size;
    const char *name = find_attribute(element + 1, body, NFTA_EXPR_NAME, &data_size);
    if (name && data_size == sizeof "counter" && !memcmp(name, "counter", data_size)) {
      const void *data = find_attribute(element + 1, body, NFTA_EXPR_DATA, &data_size);
      const void *packets = data ? find_attribute(data, data_size, NFTA_COUNTER_PACKETS, &packets_size) : NULL;
      uint64_t value = 0;
      if (packets && packets_size == sizeof value) memcpy(&value, packets, sizeof value);
      return be64toh(value);
    }
    elements += NLA_ALIGN(element->nla_len);
  }
  return 0;
}

static void take_rule(const struct nlmsghdr *entry, void *context) {
  struct counts *counts = context;
  const uint8_t *attributes = (const uint8_t *)NLMSG_DATA(entry) + NLMSG_ALIGN(sizeof(struct nfgenmsg));
  size_t length = entry->nlmsg_len - NLMSG_HDRLEN - NLMSG_ALIGN(sizeof(struct nfgenmsg)), size;
  const char *chain = find_attribute(attributes, length, NFTA_RULE_CHAIN, &size);
  if (!chain || !size || chain[size - 1]) return;
  if (!strcmp(chain, ARRIVAL)) counts->arrived += packets_of(attributes, length);
  if (!strcmp(chain, DEPARTURE)) counts->forwarded += packets_of(attributes, length);
}

int count_probes(int tables, const struct firewall *firewall, uint64_t *arrived, uint64_t *forwarded) {
  struct counts counts = {0};
  struct netlink_messages messages = {0};
  begin_table_message(&messages, NFT_MSG_GETRULE, NLM_F_DUMP, FAMILY_INET);
  put_text(&messages, NFTA_RULE_TABLE, firewall->name);
  int error = ask_for_list(tables, &messages, take_rule, &counts);
  *arrived = counts.arrived;
  *forwarded = counts.forwarded;
  return error;
}
