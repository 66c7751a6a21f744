#define _GNU_SOURCE
#include "pool.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/rtnetlink.h>
#include <sched.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "firewall.h"
#include "link.h"
#include "netlink.h"
#include "policy.h"
#include "probe.h"
#include "subnet.h"

// More are not kept for later steps.
#define KEPT 16
// Addresses: network, ours, the step's, broadcast.
enum { SUBNET_SIZE = 4, SUBNET_PREFIX = 30 };

static struct network_offer offer;
static bool is_prepared;
static int host = -1, route = -1, tables = -1;
static struct firewall firewall;
static struct surroundings around;
static uint32_t next_subnet;
static struct step_network *kept[KEPT];
static size_t kept_count;

static void write_setting(const char *path, char value) {
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return; // no IPv6 here, or a /proc/sys that cannot be written: the firewall drops it all the same
  (void)!write(fd, &value, 1);
  close(fd);
}

static void close_network(struct step_network *network) {
  const int descriptors[] = {network->namespace, network->route, network->sockets[0], network->sockets[1], network->counters};
  for (size_t i = 0; i < sizeof descriptors / sizeof *descriptors; i++)
    if (descriptors[i] >= 0) close(descriptors[i]);
  free(network);
}

// A new namespace, entered for as long as it takes to open what tells of it and leads to it.
static int open_namespace(struct step_network *network) {
  if (unshare(CLONE_NEWNET) < 0) return errno;
  network->namespace = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
  network->sockets[0] = open("/proc/self/net/sockstat", O_RDONLY | O_CLOEXEC);
  network->sockets[1] = open("/proc/self/net/sockstat6", O_RDONLY | O_CLOEXEC);
  network->counters = open("/proc/self/net/dev", O_RDONLY | O_CLOEXEC);
  network->route = open_netlink(NETLINK_ROUTE);
  int error = network->namespace < 0 || network->route < 0 || network->sockets[0] < 0 || network->counters < 0 ? errno : 0;
  // As Docker's bridge: loopback has IPv6, eth0 not.
  write_setting("/proc/sys/net/ipv6/conf/default/disable_ipv6", '1');
  if (!error) error = bring_up(network->route, "lo");
  // In that of a step nothing of the executor may go on.
  if (setns(host, CLONE_NEWNET) < 0) _exit(70);
  return error;
}

// The name of our end is the lock of its addresses: the kernel refuses a second.
static int join_namespace(struct step_network *network, uint32_t subnet, char name[16]) {
  snprintf(name, 16, LINK_PREFIX "%08x", subnet + 1);
  struct pair pair = {name, network->namespace, around.mtu ? around.mtu : USUAL_MTU, {subnet + 1, subnet + 2}};
  return make_pair(route, &pair);
}

static int set_addresses(struct step_network *network, uint32_t subnet, const char *name) {
  char setting[64];
  snprintf(setting, sizeof setting, "/proc/sys/net/ipv6/conf/%s/disable_ipv6", name);
  write_setting(setting, '1');
  int index = link_index(route, name), inner = link_index(network->route, "eth0");
  if (!index || !inner) return ENODEV;
  int error = open_router_end(route, index);
  if (!error) error = bring_up(network->route, "eth0");
  if (!error) error = wait_for_carrier(route, index);
  if (!error) error = add_address(route, index, subnet + 1, SUBNET_PREFIX);
  if (!error) error = add_address(network->route, inner, subnet + 2, SUBNET_PREFIX);
  if (!error) error = add_default_route(network->route, subnet + 1);
  // A rule may ask another table before the main one.
  if (!error && find_way(route, AF_INET, &(uint32_t){htonl(subnet + 2)}) != index) error = EHOSTUNREACH;
  return error;
}

static int connect_network(struct step_network *network) {
  char name[16];
  for (uint32_t attempt = 0; attempt < around.size / SUBNET_SIZE; attempt++) {
    uint32_t subnet = around.range + next_subnet++ % (around.size / SUBNET_SIZE) * SUBNET_SIZE;
    int error = join_namespace(network, subnet, name);
    if (error == EEXIST) continue; // another step has it, of this or of another build
    return error ? error : set_addresses(network, subnet, name);
  }
  return EADDRINUSE;
}

// Behind "eth0:" come eight numbers of what was received, then bytes and packets that were sent.
static bool count_sent(const struct step_network *network, uint64_t *packets) {
  char text[4096];
  ssize_t length = pread(network->counters, text, sizeof text - 1, 0);
  if (length < 0) return false;
  text[length] = '\0';
  const char *line = strstr(text, " eth0:");
  unsigned long long count;
  if (!line || sscanf(line + sizeof " eth0:" - 1, "%*u %*u %*u %*u %*u %*u %*u %*u %*u %llu", &count) != 1) return false;
  *packets = count;
  return true;
}

static bool has_sent_nothing(const struct step_network *network) {
  uint64_t packets;
  return count_sent(network, &packets) && packets == network->sent;
}

static struct step_network *make_network(void) {
  struct step_network *network = malloc(sizeof *network);
  if (!network) _exit(70);
  *network = (struct step_network){.namespace = -1, .route = -1, .sockets = {-1, -1}, .counters = -1};
  int error = open_namespace(network);
  if (!error) error = connect_network(network);
  if (!error && !count_sent(network, &network->sent)) error = EIO;
  if (!error) return network;
  close_network(network);
  errno = error;
  return NULL;
}

static void refuse(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void refuse(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(offer.reason, sizeof offer.reason, format, arguments);
  va_end(arguments);
}

static bool forwards(const char *setting) {
  char value = '0', path[64];
  snprintf(path, sizeof path, "/proc/sys/net/ipv4/%s", setting);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  bool is_read = read(fd, &value, 1) == 1;
  close(fd);
  return is_read && value == '1';
}

// An answer is forwarded only if the interface that it comes in by may.
static bool uplink_forwards(void) {
  char setting[48];
  snprintf(setting, sizeof setting, "conf/%s/forwarding", around.uplink);
  return !around.uplink[0] || forwards(setting);
}

static bool open_router(void) {
  if (!forwards("ip_forward")) return refuse("net.ipv4.ip_forward is 0"), false;
  host = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
  route = open_netlink(NETLINK_ROUTE);
  tables = open_netlink(NETLINK_NETFILTER);
  if (host < 0 || route < 0 || tables < 0) return refuse("netlink: %s", strerror(errno)), false;
  int error = raise_firewall(tables, &firewall);
  if (error == EINVAL || error == EOPNOTSUPP) return refuse("nf_tables of this kernel has no tables that end with a process (Linux 5.12 has)"), false;
  if (error) return refuse("nf_tables: %s", strerror(error)), false;
  error = look_around(route, firewall.probe_address, &around);
  if (error) return refuse("the routes of this machine: %s", strerror(error)), false;
  if (!around.size) return refuse("routes of this machine lead to every range of addresses that steps could have"), false;
  if (!uplink_forwards()) return refuse("net/ipv4/conf/%s/forwarding is 0", around.uplink), false;
  if (around.is_ipv6_only) return refuse("this machine reaches outside by IPv6 alone"), false;
  next_subnet = (uint32_t)(strtoull(firewall.name + sizeof "tsbuild-" - 1, NULL, 16) >> 16);
  return true;
}

static void close_router(void) {
  int *const descriptors[] = {&host, &route, &tables};
  for (size_t i = 0; i < 3; i++) {
    if (*descriptors[i] >= 0) close(*descriptors[i]);
    *descriptors[i] = -1;
  }
}

// Without a way outside nothing can be sent to try it, but there may be one into the next network.
static bool is_stopped(const struct step_network *network) {
  char culprits[300];
  if (around.mtu && is_let_through(network->namespace, host, tables, &firewall)) return false;
  if (!name_dropping_chains(tables, culprits, sizeof culprits) && !around.mtu) return false;
  refuse("what is forwarded is dropped by %s", culprits);
  return true;
}

const struct network_offer *prepare_networks(bool may_route) {
  if (is_prepared) return &offer;
  is_prepared = true;
  if (!may_route) refuse("steps of this isolation have no network of their own");
  bool is_open = may_route && open_router();
  struct step_network *first = is_open ? make_network() : NULL;
  if (is_open && !first && errno == EHOSTUNREACH) refuse("rules of this machine (`ip rule`) lead elsewhere what is for steps");
  else if (is_open && !first) refuse("a pair of veths: %s", strerror(errno));
  if (first && is_stopped(first)) {
    close_network(first);
    first = NULL;
  }
  if (first) {
    count_sent(first, &first->sent); // the probe as well
    kept[kept_count++] = first;
    offer.kind = NETWORK_BEHIND_NAT;
    return &offer;
  }
  close_router();
  return &offer;
}

struct step_network *take_network(void) {
  if (offer.kind != NETWORK_BEHIND_NAT) return errno = ENETDOWN, NULL;
  while (kept_count) {
    struct step_network *network = kept[--kept_count];
    if (link_index(network->route, "eth0")) return network;
    close_network(network); // somebody has deleted the machine's end
  }
  return make_network();
}

// The first number behind each of the words, which the kernel writes as "TCP: inuse 0 orphan 0 tw 0 alloc 1 mem 0".
static bool counts_nothing(const char *text, const char *protocol) {
  const char *line = strstr(text, protocol);
  if (!line) return true;
  int inuse = 0, orphan = 0, waiting = 0;
  const char *numbers = line + strlen(protocol);
  if (sscanf(numbers, " inuse %d orphan %d tw %d", &inuse, &orphan, &waiting) < 1) return false;
  // Orphans are counted for the whole machine.
  return inuse == 0 && waiting == 0;
}

// Processes are gone with their namespace, and so are their sockets; those of TCP may go on for minutes, and keep their port.
static bool has_no_sockets(const struct step_network *network) {
  static const char *const protocols[] = {"TCP:", "TCP6:"};
  char text[1024];
  for (size_t i = 0; i < 2; i++) {
    if (network->sockets[i] < 0) continue;
    ssize_t length = pread(network->sockets[i], text, sizeof text - 1, 0);
    if (length < 0) return false;
    text[length] = '\0';
    if (!counts_nothing(text, protocols[i])) return false;
  }
  return true;
}

void give_network_back(struct step_network *network, bool is_clean) {
  if (is_clean && kept_count < KEPT && has_sent_nothing(network) && has_no_sockets(network)) kept[kept_count++] = network;
  else close_network(network);
}
