// Messages to the kernel by netlink: rtnetlink and nf_tables speak the same envelope.
#ifndef TS_OCI_NETLINK_H
#define TS_OCI_NETLINK_H

#include <linux/netlink.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Messages to be sent at once. `failed`: what was put did not fit; sending answers EMSGSIZE.
struct netlink_messages {
  uint8_t bytes[8192];
  size_t length, message; // where the message begins that is being written
  uint32_t acknowledged;  // how many of them are answered
  bool failed;
};

// A socket of the network namespace that the process is in. -1 with errno.
int open_netlink(int protocol);

// Begins a message with a header of `size` bytes behind the common one, which it returns, zeroed. NLM_F_REQUEST is added.
void *begin_message(struct netlink_messages *messages, uint16_t type, uint16_t flags, size_t size);
void put_attribute(struct netlink_messages *messages, uint16_t type, const void *value, size_t length);
void put_text(struct netlink_messages *messages, uint16_t type, const char *text);
void put_u32(struct netlink_messages *messages, uint16_t type, uint32_t value);
void put_be32(struct netlink_messages *messages, uint16_t type, uint32_t value);
// An attribute that holds others: begin, put them (after a header that the kind asks for), end by what begin returned.
size_t begin_nested(struct netlink_messages *messages, uint16_t type);
void *put_header(struct netlink_messages *messages, size_t size);
void end_nested(struct netlink_messages *messages, size_t nested);

// Sends them and waits for the answers. 0, or the errno of the first refusal; then nothing says which of the others were done.
int exchange(int socket, struct netlink_messages *messages);
// Sends one that asks for a list, and hands each entry to `take`. 0 or an errno.
int ask_for_list(int socket, struct netlink_messages *messages, void (*take)(const struct nlmsghdr *entry, void *context), void *context);

// The attribute of that type in `length` bytes of attributes, or NULL; what it holds is `*size` long.
const void *find_attribute(const void *attributes, size_t length, uint16_t type, size_t *size);

#endif
