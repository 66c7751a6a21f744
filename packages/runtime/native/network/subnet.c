#define _GNU_SOURCE
#include "subnet.h"

#include <arpa/inet.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>

#include "link.h"
#include "netlink.h"

// A smaller one cannot carry IPv4; a larger one no interface of Ethernet takes.
enum { SMALLEST_MTU = 576, LARGEST_MTU = 65535 };

struct range {
  uint32_t first, size;
  bool is_taken;
};

// Away from what Docker (172.17 to 172.31, 192.168), Podman (10.88), BuildKit (10.10), Kubernetes (10.42, 10.96, 10.244) and
// routers at home take. The last is the one for tests of equipment, which no network has.
static const struct range candidates[] = {
    {0x0ad50000, 0x10000, false}, // 10.213.0.0/16
    {0xac10d000, 0x1000, false},  // 172.16.208.0/20
    {0xc0a8d000, 0x1000, false},  // 192.168.208.0/20
    {0x64630000, 0x10000, false}, // 100.99.0.0/16
    {0xc6130000, 0x10000, false}, // 198.19.0.0/16
};
#define CANDIDATES (sizeof candidates / sizeof *candidates)

// Routes for more than this are ways outside (some VPNs have two for half of all addresses each instead of a default route).
enum { SHORTEST_PREFIX = 8 };

struct search {
  int route;
  struct range ranges[CANDIDATES];
};

// One that has gone in this moment was of a step.
static bool is_ours(int socket, int index) {
  struct ifreq request = {.ifr_ifindex = index};
  return ioctl(socket, SIOCGIFNAME, &request) < 0 || !strncmp(request.ifr_name, LINK_PREFIX, strlen(LINK_PREFIX));
}

static uint32_t mtu_of(int socket, int index) {
  struct ifreq request = {.ifr_ifindex = index};
  if (ioctl(socket, SIOCGIFNAME, &request) < 0 || ioctl(socket, SIOCGIFMTU, &request) < 0 || request.ifr_mtu < SMALLEST_MTU) return USUAL_MTU;
  return request.ifr_mtu < LARGEST_MTU ? (uint32_t)request.ifr_mtu : LARGEST_MTU;
}

static void take_route(const struct nlmsghdr *entry, void *context) {
  struct search *search = context;
  const struct rtmsg *route = NLMSG_DATA(entry);
  if (entry->nlmsg_type != RTM_NEWROUTE || route->rtm_family != AF_INET) return;
  const void *attributes = RTM_RTA(route);
  size_t length = RTM_PAYLOAD(entry), size;
  size = 0;
  const int *output = find_attribute(attributes, length, RTA_OIF, &size);
  if (size != sizeof *output) output = NULL;
  if (route->rtm_dst_len < SHORTEST_PREFIX) return;
  const uint32_t *destination = find_attribute(attributes, length, RTA_DST, &size);
  if (!destination || size != sizeof *destination) return;
  uint32_t first = ntohl(*destination), last = first | (uint32_t)(0xffffffffull >> route->rtm_dst_len);
  for (size_t i = 0; i < CANDIDATES; i++) {
    struct range *range = &search->ranges[i];
    if (range->is_taken || last < range->first || first > range->first + range->size - 1) continue;
    range->is_taken = !output || !is_ours(search->route, *output);
  }
}

// Documentation has it, and nobody (RFC 3849).
static const uint8_t outside_ipv6[16] = {0x20, 0x01, 0x0d, 0xb8, [15] = 1};

int look_around(int route, uint32_t outside, struct surroundings *found) {
  struct search search = {.route = route};
  memcpy(search.ranges, candidates, sizeof candidates);
  struct netlink_messages messages = {0};
  struct rtmsg *request = begin_message(&messages, RTM_GETROUTE, NLM_F_DUMP, sizeof *request);
  request->rtm_family = AF_INET;
  int error = ask_for_list(route, &messages, take_route, &search);
  *found = (struct surroundings){0};
  int output = find_way(route, AF_INET, &(uint32_t){htonl(outside)});
  struct ifreq uplink = {.ifr_ifindex = output};
  if (output) found->mtu = mtu_of(route, output);
  if (output && ioctl(route, SIOCGIFNAME, &uplink) == 0) memcpy(found->uplink, uplink.ifr_name, sizeof found->uplink - 1);
  if (!output) found->is_ipv6_only = find_way(route, AF_INET6, outside_ipv6);
  for (size_t i = 0; i < CANDIDATES && !error && !found->size; i++) {
    if (search.ranges[i].is_taken) continue;
    found->range = search.ranges[i].first;
    found->size = search.ranges[i].size;
  }
  return error;
}
