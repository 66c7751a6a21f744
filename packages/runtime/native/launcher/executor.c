// Pid 1 of the executor's namespaces: takes requests from the control socket, has steps and helpers started, sends what they
// say, reaps. When the socket ends it ends, and the kernel ends everything below it.
#define _GNU_SOURCE
#include "executor.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../network/pool.h"
#include "failure.h"
#include "helpers.h"
#include "protocol.h"
#include "step-table.h"
#include "supervision.h"

// No more output is read from steps while this much waits for the parent.
#define OUTPUT_HIGH_WATER (1u << 20)
// A buffer for requests that is larger than this is given back once it is empty.
#define INPUT_KEPT (1u << 20)

static struct executor_config *config;
static int control, signals;
static struct buffer input, output;

_Noreturn static void end_all(void);

static void flush_output(void) {
  while (output.end > output.start) {
    ssize_t sent = send(control, output.bytes + output.start, output.end - output.start, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN) return;
      end_all(); // the parent is gone
    }
    output.start += (size_t)sent;
  }
}

static enum network_rights network_rights(void) {
  if (config->chroot) return RIGHTS_NONE;
  if (!config->rootless) return RIGHTS_OF_ROOT;
  return config->shifted ? RIGHTS_OF_OUTER_USER_NAMESPACE : RIGHTS_OF_USER_NAMESPACE;
}

static void offer_network(uint32_t id, const uint8_t *payload, size_t length) {
  char pasta[PATH_MAX] = "";
  if (length < sizeof pasta) memcpy(pasta, payload, length);
  const struct network_offer *offer = prepare_networks(network_rights(), pasta, config->rootless ? -1 : config->outer_procs);
  struct buffer answer = {0};
  uint32_t kind = offer->kind;
  buffer_append(&answer, &kind, 4);
  buffer_append(&answer, &offer->resolver, 4);
  buffer_append(&answer, offer->reason, strlen(offer->reason));
  buffer_append_frame(&output, FRAME_NETWORK, id, answer.bytes, answer.end);
  free(answer.bytes);
}

// The keepers of steps see the end of their pipe before this process waits for them.
_Noreturn static void end_all(void) {
  release_keepers();
  end_executor(config);
}

static void take_frame(uint32_t type, uint32_t id, const uint8_t *payload, size_t length) {
  switch (type) {
  case FRAME_RUN_STEP: begin_step(id, payload, length); return;
  case FRAME_SIGNAL: signal_step(id, payload, length); return;
  case FRAME_INPUT:
  case FRAME_RESIZE: feed_step(type, id, payload, length); return;
  case FRAME_START_JOBS: start_jobs(id, payload, length, &output); return;
  case FRAME_REMOVE_TREES: start_removal(id, payload, length, &output); return;
  case FRAME_WRITE_TREE: start_tree_writer(id, payload, length, &output); return;
  case FRAME_PREPARE_NETWORK: offer_network(id, payload, length); return;
  default: end_all(); // not our parent's language
  }
}

static void read_control(void) {
  buffer_reserve(&input, 65536);
  ssize_t got = recv(control, input.bytes + input.end, input.capacity - input.end, MSG_DONTWAIT);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got <= 0) end_all();
  input.end += (size_t)got;
  while (input.end - input.start >= FRAME_HEADER) {
    const uint8_t *header = input.bytes + input.start;
    uint32_t length = read_u32(header);
    if (length > FRAME_LIMIT) end_all();
    if (input.end - input.start < FRAME_HEADER + (size_t)length) {
      buffer_reserve(&input, FRAME_HEADER + (size_t)length);
      return;
    }
    take_frame(read_u32(header + 4), read_u32(header + 8), header + FRAME_HEADER, length);
    // A secret may have passed: it does not stay in memory that later children copy.
    explicit_bzero(input.bytes + input.start, FRAME_HEADER + (size_t)length);
    input.start += FRAME_HEADER + (size_t)length;
  }
  // One large request must not cost every later step as much memory.
  if (input.start == input.end && input.capacity > INPUT_KEPT) {
    free(input.bytes);
    input = (struct buffer){0};
  }
}

static void reap(void) {
  struct signalfd_siginfo drained[8];
  while (read(signals, drained, sizeof drained) > 0) continue;
  int status;
  pid_t pid;
  while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
    if (!helper_ended(pid, status, &output)) step_ended(pid, status);
}

static void serve_once(struct pollfd *polled) {
  bool room = output.end - output.start < OUTPUT_HIGH_WATER;
  polled[0] = (struct pollfd){.fd = control, .events = POLLIN | (output.end > output.start ? POLLOUT : 0)};
  polled[1] = (struct pollfd){.fd = signals, .events = POLLIN};
  size_t count = polled_by_steps();
  poll_steps(polled + 2, room);
  if (poll(polled, 2 + count, -1) < 0) return;
  serve_steps(polled + 2);
  if (polled[1].revents) reap();
  if (polled[0].revents & (POLLIN | POLLHUP | POLLERR)) read_control();
  flush_output();
}

void serve_executor(struct executor_config *shared, int control_socket, int jobs) {
  config = shared;
  config->requests = &input;
  control = control_socket;
  sigset_t child;
  sigemptyset(&child);
  sigaddset(&child, SIGCHLD);
  sigprocmask(SIG_BLOCK, &child, NULL);
  // A step may close its input while there is more for it.
  signal(SIGPIPE, SIG_IGN);
  signals = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
  if (signals < 0) {
    send_failure(control, "signalfd", errno); // without it no step would ever be seen to end
    end_all();
  }
  prepare_helpers(config, jobs);
  // What an earlier one left in roots and caches is back before anything is asked for.
  if (config->chroot) sweep_leftovers(config);
  prepare_supervision(config);
  uint32_t version = PROTOCOL_VERSION;
  buffer_append_frame(&output, FRAME_READY, 0, &version, sizeof version);
  flush_output();
  if (!config->chroot) sweep_leftovers(config);
  prepare_steps(config, &output);
  struct pollfd *polled = NULL;
  for (;;) {
    struct pollfd *grown = realloc(polled, (2 + polled_by_steps()) * sizeof *polled);
    if (!grown) _exit(70);
    polled = grown;
    serve_once(polled);
  }
}
