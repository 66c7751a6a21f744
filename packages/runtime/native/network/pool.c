#define _GNU_SOURCE
#include "pool.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "firewall.h"
#include "link.h"
#include "netlink.h"
#include "pasta.h"
#include "policy.h"
#include "probe.h"
#include "subnet.h"

// More are not kept for later steps.
#define KEPT 16
// Addresses: network, ours, the step's, broadcast.
enum { SUBNET_SIZE = 4, SUBNET_PREFIX = 30 };

#define TUNNEL_DEVICE "/dev/net/tun"

static struct network_offer offer;
static bool is_prepared, is_outer;
static int host = -1; // the machine's namespace, where that is the router
static struct network_descriptors router = NO_NETWORK;
static struct firewall firewall;
static struct surroundings around;
static uint32_t next_subnet;
static char pasta_program[PATH_MAX];
static struct pasta uplink = {.program = pasta_program, .namespace = -1, .outer_procs = -1};
static struct step_network *kept[KEPT];
static size_t kept_count;

static void close_network(struct step_network *network) {
  close_network_descriptors(&network->inside);
  free(network);
}

// The name of our end is the lock of its addresses: the kernel refuses a second.
static int join_namespace(struct step_network *network, uint32_t subnet, char name[16]) {
  snprintf(name, 16, LINK_PREFIX "%08x", subnet + 1);
  struct pair pair = {name, network->inside.namespace, around.mtu ? around.mtu : USUAL_MTU, {subnet + 1, subnet + 2}};
  return make_pair(router.route, &pair);
}

static int set_addresses(struct step_network *network, uint32_t subnet, const char *name) {
  char setting[64];
  snprintf(setting, sizeof setting, "/proc/sys/net/ipv6/conf/%s/disable_ipv6", name);
  write_setting(setting, "1");
  int index = link_index(router.route, name), inner = link_index(network->inside.route, "eth0");
  if (!index || !inner) return ENODEV;
  int error = open_router_end(router.route, index);
  if (!error) error = bring_up(network->inside.route, "eth0");
  if (!error) error = wait_for_carrier(router.route, index);
  if (!error) error = add_address(router.route, index, subnet + 1, SUBNET_PREFIX);
  if (!error) error = add_address(network->inside.route, inner, subnet + 2, SUBNET_PREFIX);
  if (!error) error = add_default_route(network->inside.route, subnet + 1);
  // A rule may ask another table before the main one.
  if (!error && find_way(router.route, AF_INET, &(uint32_t){htonl(subnet + 2)}) != index) error = EHOSTUNREACH;
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
  ssize_t length = pread(network->inside.counters, text, sizeof text - 1, 0);
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
  *network = (struct step_network){.inside = NO_NETWORK};
  int error = open_network(&network->inside, host, is_outer);
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

// The rules of the router, and by a socket of the machine's namespace what is free there.
static bool survey(int machine) {
  int error = raise_firewall(router.tables, &firewall);
  if (error == EINVAL || error == EOPNOTSUPP) return refuse("nf_tables of this kernel has no tables that end with a process (Linux 5.12 has)"), false;
  if (error) return refuse("nf_tables: %s", strerror(error)), false;
  error = look_around(machine, firewall.probe_address, &around);
  if (error) return refuse("the routes of this machine: %s", strerror(error)), false;
  if (!around.size) return refuse("routes of this machine lead to every range of addresses that steps could have"), false;
  if (around.is_ipv6_only) return refuse("this machine reaches outside by IPv6 alone"), false;
  next_subnet = (uint32_t)(strtoull(firewall.name + sizeof "tsbuild-" - 1, NULL, 16) >> 16);
  return true;
}

static void close_router(void) {
  close_network_descriptors(&router);
  if (host >= 0) close(host);
  host = -1;
}

// The machine is the router: nothing of it is changed but for what ends with us.
static bool open_machine(void) {
  if (!forwards("ip_forward")) return refuse("net.ipv4.ip_forward is 0"), false;
  host = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
  router.route = open_netlink(NETLINK_ROUTE);
  router.tables = open_netlink(NETLINK_NETFILTER);
  if (host < 0 || router.route < 0 || router.tables < 0) return refuse("netlink: %s", strerror(errno)), false;
  if (!survey(router.route)) return false;
  if (!uplink_forwards()) return refuse("net/ipv4/conf/%s/forwarding is 0", around.uplink), false;
  return true;
}

static struct step_network *make_first(void) {
  struct step_network *first = make_network();
  if (!first && errno == EHOSTUNREACH) refuse("rules of this machine (`ip rule`) lead elsewhere what is for steps");
  else if (!first) refuse("a pair of veths: %s", strerror(errno));
  return first;
}

// Without a way outside nothing can be sent to try it, but there may be one into the next network.
static bool is_stopped(const struct step_network *network) {
  char culprits[300];
  if (around.mtu && is_let_through(network->inside.namespace, host, router.tables, &firewall)) return false;
  if (!name_dropping_chains(router.tables, culprits, sizeof culprits) && !around.mtu) return false;
  refuse("what is forwarded is dropped by %s", culprits);
  return true;
}

static struct step_network *open_nat(void) {
  struct step_network *first = open_machine() ? make_first() : NULL;
  if (!first || !is_stopped(first)) return first;
  close_network(first);
  return NULL;
}

// Asked before a process is started for it: many containers have none, and pasta does not say why.
static bool opens_tunnel(void) {
  int fd = open(TUNNEL_DEVICE, O_RDWR | O_CLOEXEC);
  if (fd >= 0) close(fd);
  return fd >= 0;
}

static bool survey_machine(void) {
  int machine = open_netlink(NETLINK_ROUTE);
  if (machine < 0) return refuse("netlink: %s", strerror(errno)), false;
  bool is_found = survey(machine);
  close(machine);
  return is_found;
}

static bool lead_outside(void) {
  if (start_pasta(&uplink, offer.reason, sizeof offer.reason)) return false;
  int index = link_index(router.route, UPLINK);
  int error = index ? open_router_end(router.route, index) : ENODEV;
  if (error) return refuse("the interface of pasta: %s", strerror(error)), false;
  return true;
}

// It may have ended: killed by somebody, or for want of memory. Its interface goes with it.
static bool is_led_outside(void) { return offer.kind != NETWORK_BY_PASTA || link_index(router.route, UPLINK) || lead_outside(); }

// A namespace of ours is the router. Its way outside takes the last addresses of the range.
static bool open_own_router(const char *pasta, int outer_procs) {
  if (!*pasta) return refuse("there is no program pasta"), false;
  if (outer_procs < 0 && !opens_tunnel()) return refuse(TUNNEL_DEVICE ": %s", strerror(errno)), false;
  int error = open_network(&router, -1, false);
  if (error) return refuse("a network namespace: %s", strerror(error)), false;
  if (!survey_machine()) return false;
  around.size -= UPLINK_SIZE;
  around.mtu = UPLINK_MTU;
  snprintf(pasta_program, sizeof pasta_program, "%s", pasta);
  uplink.namespace = router.namespace;
  uplink.subnet = around.range + around.size;
  uplink.outer_procs = outer_procs;
  if (!lead_outside()) return false;
  offer.resolver = uplink.subnet + UPLINK_RESOLVER;
  return true;
}

// What keeps the machine from being the router is what helps, so that is told where pasta does not help either.
static struct step_network *open_nat_or_router(const char *pasta, int outer_procs) {
  struct step_network *first = open_nat();
  if (first) return first;
  char reason[sizeof offer.reason];
  memcpy(reason, offer.reason, sizeof reason);
  close_router();
  first = *pasta && open_own_router(pasta, outer_procs) ? make_first() : NULL;
  if (!first) memcpy(offer.reason, reason, sizeof reason);
  return first;
}

const struct network_offer *prepare_networks(enum network_rights rights, const char *pasta, int outer_procs) {
  if (is_prepared) return &offer;
  is_prepared = true;
  is_outer = rights == RIGHTS_OF_OUTER_USER_NAMESPACE;
  struct step_network *first = NULL;
  if (rights == RIGHTS_NONE) refuse("steps of this isolation have no network of their own");
  else if (rights == RIGHTS_OF_ROOT) first = open_nat_or_router(pasta, outer_procs);
  else first = open_own_router(pasta, -1) ? make_first() : NULL;
  if (!first) return offer.resolver = 0, close_router(), &offer;
  count_sent(first, &first->sent); // the probe as well
  kept[kept_count++] = first;
  offer.kind = host >= 0 ? NETWORK_BEHIND_NAT : NETWORK_BY_PASTA;
  return &offer;
}

struct step_network *take_network(void) {
  if (offer.kind == NETWORK_OF_HOST || !is_led_outside()) return errno = ENETDOWN, NULL;
  while (kept_count) {
    struct step_network *network = kept[--kept_count];
    if (link_index(network->inside.route, "eth0")) return network;
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
    if (network->inside.sockets[i] < 0) continue;
    ssize_t length = pread(network->inside.sockets[i], text, sizeof text - 1, 0);
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
