#define _GNU_SOURCE
#include "namespace.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/rtnetlink.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../common/kernel.h"
#include "link.h"
#include "netlink.h"

void write_setting(const char *path, const char *value) {
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return; // no IPv6 here, or a /proc/sys that cannot be written: the firewall drops it all the same
  (void)!write(fd, value, strlen(value));
  close(fd);
}

static int enter_new(struct network_descriptors *network, bool is_outer) {
  if (unshare(CLONE_NEWNET) < 0) return errno;
  network->namespace = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
  network->sockets[0] = open("/proc/self/net/sockstat", O_RDONLY | O_CLOEXEC);
  network->counters = open("/proc/self/net/dev", O_RDONLY | O_CLOEXEC);
  network->route = open_netlink(NETLINK_ROUTE);
  network->tables = open_netlink(NETLINK_NETFILTER);
  if (network->namespace < 0 || network->route < 0 || network->tables < 0 || network->sockets[0] < 0 || network->counters < 0) return errno;
  network->sockets[1] = open("/proc/self/net/sockstat6", O_RDONLY | O_CLOEXEC);
  // As Docker's bridge: loopback has IPv6, eth0 not.
  write_setting("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");
  // What capabilities would allow; Docker sets both for every container.
  if (is_outer) write_setting("/proc/sys/net/ipv4/ip_unprivileged_port_start", "0");
  if (is_outer) write_setting("/proc/sys/net/ipv4/ping_group_range", "0 65535");
  return bring_up(network->route, "lo");
}

// What a child opens is here too: it shares the descriptors.
static int enter_by_child(struct network_descriptors *network, bool is_outer) {
  int answer[2], status = 0;
  if (pipe2(answer, O_CLOEXEC) < 0) return errno;
  struct kernel_clone_args args = {.flags = K_CLONE_FILES, .exit_signal = SIGCHLD};
  pid_t pid = k_clone3(&args);
  if (pid == 0) {
    int error = enter_new(network, is_outer);
    _exit(write(answer[1], network, sizeof *network) == sizeof *network ? error : EPIPE);
  }
  int error = pid < 0 ? errno : 0;
  if (!error && waitpid(pid, &status, 0) != pid) error = errno;
  if (!error && WIFEXITED(status)) error = WEXITSTATUS(status);
  // The writing end is ours as well: what a child that was killed did not write must not be waited for.
  if (!error && !WIFEXITED(status)) error = EPIPE;
  else if (pid > 0) (void)!read(answer[0], network, sizeof *network);
  close(answer[0]);
  close(answer[1]);
  return error;
}

int open_network(struct network_descriptors *network, int home, bool is_outer) {
  *network = NO_NETWORK;
  if (home < 0) return enter_by_child(network, is_outer);
  int error = enter_new(network, is_outer);
  // In that of a step nothing of the executor may go on.
  if (setns(home, CLONE_NEWNET) < 0) _exit(70);
  return error;
}

void close_network_descriptors(struct network_descriptors *network) {
  const int descriptors[] = {network->namespace, network->route, network->tables, network->sockets[0], network->sockets[1], network->counters};
  for (size_t i = 0; i < sizeof descriptors / sizeof *descriptors; i++)
    if (descriptors[i] >= 0) close(descriptors[i]);
  *network = NO_NETWORK;
}
