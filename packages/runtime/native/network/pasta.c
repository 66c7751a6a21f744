#define _GNU_SOURCE
#include "pasta.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../common/kernel.h"

// It took 33 ms where that was measured; a machine that swaps takes longer.
#define START_MS 5000
#define ADDRESS_SIZE 16
// So that output of its own never stops it.
#define PIPE_FLAGS (O_CLOEXEC | O_NONBLOCK)

static void write_address(char text[ADDRESS_SIZE], uint32_t address) {
  snprintf(text, ADDRESS_SIZE, "%u.%u.%u.%u", address >> 24, address >> 16 & 255, address >> 8 & 255, address & 255);
}

_Noreturn static void fail(const char *what) {
  dprintf(STDERR_FILENO, "%s: %s\n", what, strerror(errno));
  _exit(1);
}

// It takes a namespace by name, and the names in /proc of who does not let itself be looked into are closed. The one that its
// AppArmor profile lets it read is the first; the second exists everywhere. Nobody else sees what is mounted.
static const char *name_namespace(int namespace) {
  static char name[64];
  char source[64];
  const char *parent = access("/run/user", F_OK) == 0 ? "/run/user" : "/tmp";
  if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) fail("a mount namespace");
  if (mount("tmpfs", parent, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=755,size=64k") < 0) fail("mount a tmpfs");
  snprintf(name, sizeof name, "%s/0", parent);
  mkdir(name, 0755);
  snprintf(name, sizeof name, "%s/0/netns", parent);
  mkdir(name, 0755);
  snprintf(name, sizeof name, "%s/0/netns/steps", parent);
  int fd = open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0) fail(name);
  close(fd);
  snprintf(source, sizeof source, "/proc/self/fd/%d", namespace);
  if (mount(source, name, NULL, MS_BIND, NULL) < 0) fail("bind the network namespace");
  return name;
}

_Noreturn static void become_pasta(const struct pasta *pasta, int ready, int errors) {
  char own[ADDRESS_SIZE], gateway[ADDRESS_SIZE], resolver[ADDRESS_SIZE], prefix[4];
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  // It takes one that is ignored for an error.
  signal(SIGPIPE, SIG_DFL);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (pasta->outer_procs >= 0) (void)!write(pasta->outer_procs, "0", 1);
  int nothing = open("/dev/null", O_RDONLY);
  if (nothing < 0 || dup2(errors, 2) < 0 || dup2(ready, 1) < 0 || dup2(nothing, 0) < 0) _exit(1);
  const char *name = name_namespace(pasta->namespace);
  uint32_t subnet = pasta->subnet;
  write_address(own, subnet + UPLINK_OWN);
  write_address(gateway, subnet + UPLINK_GATEWAY);
  write_address(resolver, subnet + UPLINK_RESOLVER);
  snprintf(prefix, sizeof prefix, "%d", UPLINK_PREFIX);
  // It writes its number when it is ready. No port of a step is opened on the machine, no port of its loopback in a step.
  const char *args[] = {"pasta", "--foreground", "--quiet", "--pid", "/proc/self/fd/1", "--netns-only", "--no-netns-quit", "--config-net",
                              "--netns", name, "-I", UPLINK, "-4", "-a", own, "-n", prefix, "-g", gateway, "--dns-forward", resolver, "--no-map-gw",
                              "-t", "none", "-u", "none", "-T", "none", "-U", "none", "--no-ndp", "--no-dhcp", "--no-dhcpv6", "--no-ra", NULL, NULL, NULL};
  size_t count = sizeof args / sizeof *args - 3;
  // As root it would become nobody, who may not enter our namespace; it gives up all capabilities before it reads a packet.
  if (getuid() == 0) args[count++] = "--runas", args[count++] = "0";
  char *const environment[] = {NULL};
  k_close_range(3, ~0u, 0);
  execve(pasta->program, (char *const *)args, environment);
  fail("start it");
}

// The first line that it wrote, of those that tell more than that nobody keeps its log.
static void read_reason(int errors, char *reason, size_t size) {
  char text[2048];
  ssize_t length = read(errors, text, sizeof text - 1);
  text[length > 0 ? length : 0] = '\0';
  snprintf(reason, size, "pasta ended");
  for (char *rest = text, *line; (line = strsep(&rest, "\n"));) {
    if (!*line || strstr(line, "syslog")) continue;
    snprintf(reason, size, "pasta: %s", line);
    return;
  }
}

static int milliseconds_since(const struct timespec *start) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int)((now.tv_sec - start->tv_sec) * 1000 + (now.tv_nsec - start->tv_nsec) / 1000000);
}

static bool is_ready(int ready) {
  struct timespec start;
  clock_gettime(CLOCK_MONOTONIC, &start);
  struct pollfd polled = {.fd = ready, .events = POLLIN};
  for (int left = START_MS; left > 0; left = START_MS - milliseconds_since(&start)) {
    int count = poll(&polled, 1, left);
    if (count < 0 && errno == EINTR) continue;
    char byte;
    return count > 0 && read(ready, &byte, 1) == 1;
  }
  return false;
}

int start_pasta(const struct pasta *pasta, char *reason, size_t size) {
  int ready[2], errors[2];
  snprintf(reason, size, "pasta: no memory");
  if (pipe2(ready, PIPE_FLAGS) < 0) return errno;
  if (pipe2(errors, PIPE_FLAGS) < 0) return close(ready[0]), close(ready[1]), EMFILE;
  pid_t pid = fork();
  if (pid == 0) become_pasta(pasta, ready[1], errors[1]);
  close(ready[1]);
  close(errors[1]);
  bool started = pid > 0 && is_ready(ready[0]);
  close(ready[0]);
  // What it may still have to say stays unread; a pipe without a reader would end it.
  if (started) return 0;
  if (pid > 0 && kill(pid, SIGKILL) == 0) waitpid(pid, NULL, 0);
  read_reason(errors[0], reason, size);
  close(errors[0]);
  return EIO;
}
