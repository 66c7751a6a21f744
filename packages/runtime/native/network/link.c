#define _GNU_SOURCE
#include "link.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_link.h>
#include <linux/ip.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>

#include "netlink.h"

// Administered here, by the address of IPv4 (as Docker's). One that the kernel chooses, systemd-udevd exchanges for another some moments
// later (`MACAddressPolicy=persistent`), when the step has heard of the first.
static void put_hardware_address(struct netlink_messages *messages, uint32_t address) {
  uint8_t bytes[6] = {0x02, 0x42};
  memcpy(bytes + 2, &(uint32_t){htonl(address)}, sizeof address);
  put_attribute(messages, IFLA_ADDRESS, bytes, sizeof bytes);
}

int make_pair(int route, const struct pair *pair) {
  struct netlink_messages messages = {0};
  begin_message(&messages, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK, sizeof(struct ifinfomsg));
  put_text(&messages, IFLA_IFNAME, pair->name);
  put_u32(&messages, IFLA_MTU, pair->mtu);
  put_hardware_address(&messages, pair->addresses[0]);
  size_t information = begin_nested(&messages, IFLA_LINKINFO);
  put_text(&messages, IFLA_INFO_KIND, "veth");
  size_t data = begin_nested(&messages, IFLA_INFO_DATA);
  size_t peer = begin_nested(&messages, VETH_INFO_PEER);
  put_header(&messages, sizeof(struct ifinfomsg));
  put_text(&messages, IFLA_IFNAME, "eth0");
  put_u32(&messages, IFLA_MTU, pair->mtu);
  put_hardware_address(&messages, pair->addresses[1]);
  put_u32(&messages, IFLA_NET_NS_FD, (uint32_t)pair->namespace);
  end_nested(&messages, peer);
  end_nested(&messages, data);
  end_nested(&messages, information);
  return exchange(route, &messages);
}

int open_router_end(int route, int index) {
  struct netlink_messages messages = {0};
  struct ifinfomsg *header = begin_message(&messages, RTM_NEWLINK, NLM_F_ACK, sizeof *header);
  header->ifi_index = index;
  header->ifi_flags = header->ifi_change = IFF_UP;
  size_t families = begin_nested(&messages, IFLA_AF_SPEC);
  size_t family = begin_nested(&messages, AF_INET);
  size_t settings = begin_nested(&messages, IFLA_INET_CONF);
  put_u32(&messages, IPV4_DEVCONF_FORWARDING, 1);
  put_u32(&messages, IPV4_DEVCONF_RP_FILTER, 1);
  put_u32(&messages, IPV4_DEVCONF_ACCEPT_REDIRECTS, 0);
  put_u32(&messages, IPV4_DEVCONF_SEND_REDIRECTS, 0);
  put_u32(&messages, IPV4_DEVCONF_ACCEPT_SOURCE_ROUTE, 0);
  put_u32(&messages, IPV4_DEVCONF_PROXY_ARP, 0);
  put_u32(&messages, IPV4_DEVCONF_ROUTE_LOCALNET, 0);
  end_nested(&messages, settings);
  end_nested(&messages, family);
  end_nested(&messages, families);
  return exchange(route, &messages);
}

int add_address(int route, int index, uint32_t address, unsigned prefix) {
  struct netlink_messages messages = {0};
  struct ifaddrmsg *header = begin_message(&messages, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK, sizeof *header);
  *header = (struct ifaddrmsg){.ifa_family = AF_INET, .ifa_prefixlen = (uint8_t)prefix, .ifa_index = (uint32_t)index};
  put_be32(&messages, IFA_LOCAL, address);
  put_be32(&messages, IFA_ADDRESS, address);
  put_be32(&messages, IFA_BROADCAST, address | (uint32_t)(0xffffffffull >> prefix));
  return exchange(route, &messages);
}

int add_default_route(int route, uint32_t gateway) {
  struct netlink_messages messages = {0};
  struct rtmsg *header = begin_message(&messages, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK, sizeof *header);
  *header = (struct rtmsg){.rtm_family = AF_INET, .rtm_table = RT_TABLE_MAIN, .rtm_protocol = RTPROT_BOOT, .rtm_scope = RT_SCOPE_UNIVERSE, .rtm_type = RTN_UNICAST};
  put_be32(&messages, RTA_GATEWAY, gateway);
  return exchange(route, &messages);
}

static void take_output(const struct nlmsghdr *entry, void *context) {
  size_t size;
  if (entry->nlmsg_type != RTM_NEWROUTE) return;
  const int *output = find_attribute(RTM_RTA(NLMSG_DATA(entry)), RTM_PAYLOAD(entry), RTA_OIF, &size);
  if (output && size == sizeof *output) *(int *)context = *output;
}

int find_way(int route, uint8_t family, const void *address) {
  int output = 0;
  struct netlink_messages messages = {0};
  struct rtmsg *header = begin_message(&messages, RTM_GETROUTE, NLM_F_ACK, sizeof *header);
  header->rtm_family = family;
  header->rtm_dst_len = family == AF_INET ? 32 : 128;
  put_attribute(&messages, RTA_DST, address, header->rtm_dst_len / 8);
  return ask_for_list(route, &messages, take_output, &output) ? 0 : output;
}

int link_index(int socket, const char *name) {
  struct ifreq request = {0};
  snprintf(request.ifr_name, sizeof request.ifr_name, "%s", name);
  return ioctl(socket, SIOCGIFINDEX, &request) < 0 ? 0 : request.ifr_ifindex;
}

int bring_up(int socket, const char *name) {
  struct ifreq request = {0};
  snprintf(request.ifr_name, sizeof request.ifr_name, "%s", name);
  if (ioctl(socket, SIOCGIFFLAGS, &request) < 0) return errno;
  request.ifr_flags |= IFF_UP;
  return ioctl(socket, SIOCSIFFLAGS, &request) < 0 ? errno : 0;
}

// RFC 2863, "up"; the kernel's header with its name and the C library's exclude each other.
#define OPERATES 6

static void take_state(const struct nlmsghdr *entry, void *context) {
  size_t size;
  if (entry->nlmsg_type != RTM_NEWLINK) return;
  const uint8_t *state = find_attribute(IFLA_RTA(NLMSG_DATA(entry)), IFLA_PAYLOAD(entry), IFLA_OPERSTATE, &size);
  *(bool *)context = state && size == 1 && *state == OPERATES;
}

#define CARRIER_LOOKS 1000
#define CARRIER_LOOK_NS 200000

int wait_for_carrier(int route, int index) {
  // Since Linux 6.8 the question itself has the kernel do it.
  for (int look = 0; look < CARRIER_LOOKS; look++) {
    bool is_up = false;
    struct netlink_messages messages = {0};
    struct ifinfomsg *header = begin_message(&messages, RTM_GETLINK, NLM_F_ACK, sizeof *header);
    header->ifi_index = index;
    int error = ask_for_list(route, &messages, take_state, &is_up);
    if (error || is_up) return error;
    nanosleep(&(struct timespec){.tv_nsec = CARRIER_LOOK_NS}, NULL);
  }
  return ETIMEDOUT;
}
