// What a step with CAP_NET_RAW may try against its neighbours:
//   forge datagram SOURCE DESTINATION PORT   one of UDP, with an address that is not its own
//   forge advertise                          says to be a router of IPv6, to all
//   forge answer ADDRESS                     says to be the owner of an address, to all (ARP)
// Prints "sent" when the kernel took it.
#include <arpa/inet.h>
#include <errno.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <netpacket/packet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static uint16_t checksum(const void *bytes, size_t length, uint32_t sum) {
  const uint8_t *at = bytes;
  for (size_t i = 0; i < length; i++) sum += (uint32_t)at[i] << (i % 2 ? 0 : 8);
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return htons((uint16_t)~sum);
}

static size_t datagram(uint8_t *bytes, const char *source, const char *destination, const char *port) {
  struct iphdr *ip = (void *)bytes;
  struct udphdr *udp = (void *)(ip + 1);
  size_t length = sizeof *ip + sizeof *udp + 6;
  *ip = (struct iphdr){.version = 4, .ihl = 5, .tot_len = htons((uint16_t)length), .ttl = 64, .protocol = IPPROTO_UDP};
  ip->saddr = inet_addr(source);
  ip->daddr = inet_addr(destination);
  ip->check = checksum(ip, sizeof *ip, 0);
  *udp = (struct udphdr){.source = htons(4000), .dest = htons((uint16_t)atoi(port)), .len = htons(sizeof *udp + 6)};
  memcpy(udp + 1, "forged", 6);
  return length;
}

static int send_frame(uint16_t protocol, const uint8_t *to, const void *bytes, size_t length) {
  int fd = socket(AF_PACKET, SOCK_DGRAM, 0);
  struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_protocol = htons(protocol), .sll_ifindex = (int)if_nametoindex("eth0"), .sll_halen = 6};
  memcpy(address.sll_addr, to, 6);
  return (int)sendto(fd, bytes, length, 0, (struct sockaddr *)&address, sizeof address);
}

static int advertise(void) {
  static const uint8_t all[] = {0x33, 0x33, 0, 0, 0, 1};
  // IPv6 header; advertisement (type 134): hop limit 64, lifetime 1800; prefix 2001:db8:bad::/64, on link and for addresses.
  uint8_t bytes[40 + 16 + 32] = {0x60, 0, 0, 0, 0, 48, 58, 255};
  inet_pton(AF_INET6, "fe80::bad", bytes + 8);
  inet_pton(AF_INET6, "ff02::1", bytes + 24);
  uint8_t *icmp = bytes + 40;
  icmp[0] = 134, icmp[4] = 64, icmp[6] = 0x07, icmp[7] = 0x08;
  uint8_t *prefix = icmp + 16;
  prefix[0] = 3, prefix[1] = 4, prefix[2] = 64, prefix[3] = 0xc0;
  memset(prefix + 4, 0xff, 8);
  inet_pton(AF_INET6, "2001:db8:bad::", prefix + 16);
  uint32_t sum = 48 + 58;
  for (size_t i = 8; i < 40; i += 2) sum += (uint32_t)bytes[i] << 8 | bytes[i + 1];
  uint16_t check = checksum(icmp, 48, sum);
  memcpy(icmp + 2, &check, 2);
  return send_frame(ETH_P_IPV6, all, bytes, sizeof bytes);
}

static int answer(const char *address) {
  static const uint8_t all[] = {255, 255, 255, 255, 255, 255};
  uint8_t bytes[28] = {0, 1, 8, 0, 6, 4, 0, 2, 2, 0xba, 0xd, 0xba, 0xd, 1};
  in_addr_t own = inet_addr(address);
  memcpy(bytes + 14, &own, 4);
  memcpy(bytes + 18, all, 6);
  memcpy(bytes + 24, &own, 4);
  return send_frame(ETH_P_ARP, all, bytes, sizeof bytes);
}

int main(int argc, char **argv) {
  uint8_t bytes[128];
  int sent = -1;
  if (argc == 5 && !strcmp(argv[1], "datagram")) {
    size_t length = datagram(bytes, argv[2], argv[3], argv[4]);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr = {inet_addr(argv[3])}};
    sent = (int)sendto(socket(AF_INET, SOCK_RAW, IPPROTO_RAW), bytes, length, 0, (struct sockaddr *)&to, sizeof to);
  }
  else if (argc == 2 && !strcmp(argv[1], "advertise")) sent = advertise();
  else if (argc == 3 && !strcmp(argv[1], "answer")) sent = answer(argv[2]);
  puts(sent < 0 ? strerror(errno) : "sent");
  return sent < 0;
}
