#define _GNU_SOURCE
#include "netlink.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ANSWER_SIZE 65536

int open_netlink(int protocol) {
  int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
  struct sockaddr_nl address = {.nl_family = AF_NETLINK};
  // An answer that repeats what was asked would be as long as that.
  if (fd >= 0) setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &(int){1}, sizeof(int));
  if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) == 0) return fd;
  int error = errno;
  close(fd);
  errno = error;
  return -1;
}

static void *reserve(struct netlink_messages *messages, size_t size) {
  static uint8_t nowhere[sizeof messages->bytes];
  size_t aligned = NLMSG_ALIGN(size);
  if (messages->failed || messages->length + aligned > sizeof messages->bytes) {
    messages->failed = true;
    return nowhere;
  }
  void *at = messages->bytes + messages->length;
  memset(at, 0, aligned);
  messages->length += aligned;
  ((struct nlmsghdr *)(messages->bytes + messages->message))->nlmsg_len = (uint32_t)(messages->length - messages->message);
  return at;
}

void *begin_message(struct netlink_messages *messages, uint16_t type, uint16_t flags, size_t size) {
  messages->message = messages->length;
  struct nlmsghdr *header = reserve(messages, sizeof *header);
  header->nlmsg_type = type;
  header->nlmsg_flags = NLM_F_REQUEST | flags;
  if (flags & NLM_F_ACK) messages->acknowledged++;
  return reserve(messages, size);
}

void put_attribute(struct netlink_messages *messages, uint16_t type, const void *value, size_t length) {
  struct nlattr *attribute = reserve(messages, sizeof *attribute + length);
  if (messages->failed) return;
  *attribute = (struct nlattr){.nla_len = (uint16_t)(sizeof *attribute + length), .nla_type = type};
  memcpy(attribute + 1, value, length);
}

void put_text(struct netlink_messages *messages, uint16_t type, const char *text) { put_attribute(messages, type, text, strlen(text) + 1); }

void put_u32(struct netlink_messages *messages, uint16_t type, uint32_t value) { put_attribute(messages, type, &value, sizeof value); }

void put_be32(struct netlink_messages *messages, uint16_t type, uint32_t value) { put_u32(messages, type, htonl(value)); }

size_t begin_nested(struct netlink_messages *messages, uint16_t type) {
  size_t at = messages->length;
  struct nlattr *attribute = reserve(messages, sizeof *attribute);
  attribute->nla_type = type | NLA_F_NESTED;
  return at;
}

void *put_header(struct netlink_messages *messages, size_t size) { return reserve(messages, size); }

void end_nested(struct netlink_messages *messages, size_t nested) {
  if (!messages->failed) ((struct nlattr *)(messages->bytes + nested))->nla_len = (uint16_t)(messages->length - nested);
}

// What was sent is numbered by nobody: one exchange is over before the next begins.
static int transmit(int socket, const struct netlink_messages *messages) {
  if (messages->failed) return EMSGSIZE;
  struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
  ssize_t sent;
  do sent = sendto(socket, messages->bytes, messages->length, 0, (struct sockaddr *)&kernel, sizeof kernel);
  while (sent < 0 && errno == EINTR);
  return sent < 0 ? errno : 0;
}

static ssize_t receive(int socket, uint8_t *bytes) {
  ssize_t got;
  do got = recv(socket, bytes, ANSWER_SIZE, 0);
  while (got < 0 && errno == EINTR);
  return got;
}

static int error_of(const struct nlmsghdr *answer) {
  return answer->nlmsg_type == NLMSG_ERROR ? -((const struct nlmsgerr *)NLMSG_DATA(answer))->error : 0;
}

int exchange(int socket, struct netlink_messages *messages) {
  static uint8_t bytes[ANSWER_SIZE];
  int first = transmit(socket, messages);
  if (first) return first;
  uint32_t answers = 0;
  while (answers < messages->acknowledged) {
    ssize_t left = receive(socket, bytes);
    if (left < 0) return errno;
    for (struct nlmsghdr *answer = (struct nlmsghdr *)bytes; NLMSG_OK(answer, left); answer = NLMSG_NEXT(answer, left)) {
      if (answer->nlmsg_type != NLMSG_ERROR) continue;
      answers++;
      if (!first) first = error_of(answer);
    }
    // A transaction of nf_tables that cannot begin is one refusal, whatever was in it.
    if (first) break;
  }
  // Answers to what came behind a refusal.
  while (first && recv(socket, bytes, sizeof bytes, MSG_DONTWAIT) > 0) continue;
  return first;
}

int ask_for_list(int socket, struct netlink_messages *messages, void (*take)(const struct nlmsghdr *, void *), void *context) {
  static uint8_t bytes[ANSWER_SIZE];
  int error = transmit(socket, messages);
  if (error) return error;
  for (;;) {
    ssize_t left = receive(socket, bytes);
    if (left <= 0) return left < 0 ? errno : EPIPE;
    for (struct nlmsghdr *answer = (struct nlmsghdr *)bytes; NLMSG_OK(answer, left); answer = NLMSG_NEXT(answer, left)) {
      if (answer->nlmsg_type == NLMSG_DONE) return 0;
      if (answer->nlmsg_type == NLMSG_ERROR) return error_of(answer);
      take(answer, context);
    }
  }
}

const void *find_attribute(const void *attributes, size_t length, uint16_t type, size_t *size) {
  const uint8_t *at = attributes;
  while (length >= sizeof(struct nlattr)) {
    const struct nlattr *attribute = (const struct nlattr *)at;
    if (attribute->nla_len < sizeof *attribute || attribute->nla_len > length) return NULL;
    if ((attribute->nla_type & NLA_TYPE_MASK) == type) {
      *size = attribute->nla_len - sizeof *attribute;
      return attribute + 1;
    }
    size_t step = NLA_ALIGN(attribute->nla_len);
    if (step > length) return NULL;
    at += step;
    length -= step;
  }
  return NULL;
}
