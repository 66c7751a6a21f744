#define _GNU_SOURCE
#include "rules.h"

#include <arpa/inet.h>
#include <linux/netfilter/nfnetlink.h>
#include <stddef.h>
#include <string.h>

void begin_table_message(struct netlink_messages *messages, uint16_t kind, uint16_t flags, uint8_t family) {
  struct nfgenmsg *header = begin_message(messages, (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | kind), flags, sizeof *header);
  header->nfgen_family = family;
}

static void put_bracket(struct netlink_messages *messages, uint16_t type) {
  struct nfgenmsg *header = begin_message(messages, type, 0, sizeof *header);
  header->res_id = htons(NFNL_SUBSYS_NFTABLES);
}

void begin_transaction(struct netlink_messages *messages) { put_bracket(messages, NFNL_MSG_BATCH_BEGIN); }

void end_transaction(struct netlink_messages *messages) { put_bracket(messages, NFNL_MSG_BATCH_END); }

void put_owned_table(struct netlink_messages *messages, const char *table) {
  begin_table_message(messages, NFT_MSG_NEWTABLE, NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK, FAMILY_INET);
  put_text(messages, NFTA_TABLE_NAME, table);
  put_be32(messages, NFTA_TABLE_FLAGS, NFT_TABLE_F_OWNER);
}

void put_chain(struct netlink_messages *messages, const char *table, const struct chain_kind *chain) {
  begin_table_message(messages, NFT_MSG_NEWCHAIN, NLM_F_CREATE | NLM_F_ACK, FAMILY_INET);
  put_text(messages, NFTA_CHAIN_TABLE, table);
  put_text(messages, NFTA_CHAIN_NAME, chain->name);
  size_t hook = begin_nested(messages, NFTA_CHAIN_HOOK);
  put_be32(messages, NFTA_HOOK_HOOKNUM, chain->hook);
  put_be32(messages, NFTA_HOOK_PRIORITY, (uint32_t)chain->priority);
  end_nested(messages, hook);
  put_text(messages, NFTA_CHAIN_TYPE, chain->type);
}

struct open_rule begin_rule(struct netlink_messages *messages, uint8_t family, const char *table, const char *chain, uint16_t flags) {
  begin_table_message(messages, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_ACK | flags, family);
  put_text(messages, NFTA_RULE_TABLE, table);
  put_text(messages, NFTA_RULE_CHAIN, chain);
  return (struct open_rule){begin_nested(messages, NFTA_RULE_EXPRESSIONS)};
}

void end_rule(struct netlink_messages *messages, struct open_rule rule) { end_nested(messages, rule.expressions); }

struct expression {
  size_t element, data;
};

static struct expression begin_expression(struct netlink_messages *messages, const char *name) {
  size_t element = begin_nested(messages, NFTA_LIST_ELEM);
  put_text(messages, NFTA_EXPR_NAME, name);
  return (struct expression){element, begin_nested(messages, NFTA_EXPR_DATA)};
}

static void end_expression(struct netlink_messages *messages, struct expression expression) {
  end_nested(messages, expression.data);
  end_nested(messages, expression.element);
}

static void put_value(struct netlink_messages *messages, uint16_t type, const void *value, size_t length) {
  size_t data = begin_nested(messages, type);
  put_attribute(messages, NFTA_DATA_VALUE, value, length);
  end_nested(messages, data);
}

static void load(struct netlink_messages *messages, uint32_t key) {
  struct expression expression = begin_expression(messages, "meta");
  put_be32(messages, NFTA_META_DREG, NFT_REG_1);
  put_be32(messages, NFTA_META_KEY, key);
  end_expression(messages, expression);
}

static void compare(struct netlink_messages *messages, uint32_t operation, const void *value, size_t length) {
  struct expression expression = begin_expression(messages, "cmp");
  put_be32(messages, NFTA_CMP_SREG, NFT_REG_1);
  put_be32(messages, NFTA_CMP_OP, operation);
  put_value(messages, NFTA_CMP_DATA, value, length);
  end_expression(messages, expression);
}

void match_link_prefix(struct netlink_messages *messages, uint32_t key, const char *prefix) {
  load(messages, key);
  compare(messages, NFT_CMP_EQ, prefix, strlen(prefix));
}

void match_family(struct netlink_messages *messages, uint8_t family) {
  load(messages, NFT_META_NFPROTO);
  compare(messages, NFT_CMP_EQ, &family, 1);
}

static void load_bytes(struct netlink_messages *messages, uint32_t header, uint32_t offset, uint32_t length) {
  struct expression expression = begin_expression(messages, "payload");
  put_be32(messages, NFTA_PAYLOAD_DREG, NFT_REG_1);
  put_be32(messages, NFTA_PAYLOAD_BASE, header);
  put_be32(messages, NFTA_PAYLOAD_OFFSET, offset);
  put_be32(messages, NFTA_PAYLOAD_LEN, length);
  end_expression(messages, expression);
}

// Where the destination stands in a packet of IPv4, and the port of one of TCP or UDP.
enum { DESTINATION_OFFSET = 16, DESTINATION_PORT_OFFSET = 2 };

void match_destination(struct netlink_messages *messages, uint32_t address) {
  match_family(messages, FAMILY_IPV4);
  load_bytes(messages, NFT_PAYLOAD_NETWORK_HEADER, DESTINATION_OFFSET, sizeof address);
  compare(messages, NFT_CMP_EQ, &(uint32_t){htonl(address)}, sizeof address);
}

void match_loopback_destination(struct netlink_messages *messages) {
  match_family(messages, FAMILY_IPV4);
  load_bytes(messages, NFT_PAYLOAD_NETWORK_HEADER, DESTINATION_OFFSET, 1);
  compare(messages, NFT_CMP_EQ, &(uint8_t){127}, 1);
}

void match_destination_port(struct netlink_messages *messages, uint16_t port) {
  load_bytes(messages, NFT_PAYLOAD_TRANSPORT_HEADER, DESTINATION_PORT_OFFSET, sizeof port);
  compare(messages, NFT_CMP_EQ, &(uint16_t){htons(port)}, sizeof port);
}

void match_forged_source(struct netlink_messages *messages) {
  struct expression expression = begin_expression(messages, "fib");
  put_be32(messages, NFTA_FIB_DREG, NFT_REG_1);
  put_be32(messages, NFTA_FIB_RESULT, NFT_FIB_RESULT_OIF);
  put_be32(messages, NFTA_FIB_FLAGS, NFTA_FIB_F_SADDR | NFTA_FIB_F_IIF);
  end_expression(messages, expression);
  compare(messages, NFT_CMP_EQ, &(uint32_t){0}, sizeof(uint32_t));
}

void match_connection(struct netlink_messages *messages, uint32_t states, bool one_of) {
  struct expression expression = begin_expression(messages, "ct");
  put_be32(messages, NFTA_CT_DREG, NFT_REG_1);
  put_be32(messages, NFTA_CT_KEY, NFT_CT_STATE);
  end_expression(messages, expression);
  expression = begin_expression(messages, "bitwise");
  put_be32(messages, NFTA_BITWISE_SREG, NFT_REG_1);
  put_be32(messages, NFTA_BITWISE_DREG, NFT_REG_1);
  put_be32(messages, NFTA_BITWISE_LEN, sizeof states);
  put_value(messages, NFTA_BITWISE_MASK, &states, sizeof states);
  put_value(messages, NFTA_BITWISE_XOR, &(uint32_t){0}, sizeof states);
  end_expression(messages, expression);
  compare(messages, one_of ? NFT_CMP_NEQ : NFT_CMP_EQ, &(uint32_t){0}, sizeof states);
}

void count(struct netlink_messages *messages) { end_expression(messages, begin_expression(messages, "counter")); }

void masquerade(struct netlink_messages *messages) { end_expression(messages, begin_expression(messages, "masq")); }

void give_verdict(struct netlink_messages *messages, enum verdict verdict) {
  struct expression expression = begin_expression(messages, "immediate");
  put_be32(messages, NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
  size_t data = begin_nested(messages, NFTA_IMMEDIATE_DATA);
  size_t code = begin_nested(messages, NFTA_DATA_VERDICT);
  put_be32(messages, NFTA_VERDICT_CODE, (uint32_t)verdict);
  end_nested(messages, code);
  end_nested(messages, data);
  end_expression(messages, expression);
}
