// The steps that run: what their streams give and take, how each ends.
#define _GNU_SOURCE
#include "step-table.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../common/kernel.h"
#include "../network/pool.h"
#include "../supervisor/supervisor.h"
#include "failure.h"
#include "helpers.h"
#include "input.h"
#include "limits.h"
#include "step-start.h"

#define OUTPUT_CHUNK 65536u
// Standard output and error, and its input.
#define POLLED_BY_STEP 3

static struct executor_config *config;
static struct buffer *output;
static struct running *running;
static size_t running_count;
static uint64_t own_oom_kills; // in our own cgroup, as far as a step was told

void prepare_steps(struct executor_config *shared, struct buffer *to) {
  config = shared;
  output = to;
  own_oom_kills = count_own_oom_kills();
}

static void send_start_failure(uint32_t id, int error, const char *operation) {
  struct buffer payload = {0};
  int status = 127 << 8;
  char tag = STATUS_SETUP_FAILED;
  buffer_append(&payload, &status, 4);
  buffer_append(&payload, &tag, 1);
  buffer_append(&payload, &error, 4);
  buffer_append(&payload, operation, strlen(operation));
  buffer_append_frame(output, FRAME_EXIT, id, payload.bytes, payload.end);
  free(payload.bytes);
}

void begin_step(uint32_t id, const uint8_t *payload, size_t length) {
  struct step_spec step;
  struct running entry = {.id = id, .pidfd = -1, .life = -1, .held = -1};
  struct limit_failure failure = {0};
  int error = parse_step(payload, length, &step) ? 0 : EBADMSG;
  if (!error && step.directory && !config->chroot && (entry.held = hold_plain_directory(step.directory)) == -EBUSY)
    failure = (struct limit_failure){.error = error = EBUSY, .operation = "take the root, which a process of isolation chroot has"};
  if (!error) error = start_step(config, &step, &entry, &failure);
  entry.insecure = !error && step.flags & STEP_INSECURE;
  entry.work = error || !step.work ? NULL : strdup(step.work);
  entry.directory = error || !step.directory ? NULL : strdup(step.directory);
  free_step(&step);
  if (error) {
    if (entry.held >= 0) close(entry.held);
    free(entry.cgroups);
    if (entry.network) give_network_back(entry.network, true);
    send_start_failure(id, error, failure.error ? failure.operation : error == EBADMSG ? "read the request" : "clone the step's namespaces");
    return;
  }
  struct running *grown = realloc(running, (running_count + 1) * sizeof *running);
  if (!grown) _exit(70);
  running = grown;
  running[running_count++] = entry;
}

static struct running *find_step(uint32_t id) {
  for (size_t i = 0; i < running_count; i++)
    if (running[i].id == id) return &running[i];
  return NULL;
}

void feed_step(uint32_t type, uint32_t id, const uint8_t *payload, size_t length) {
  struct running *step = find_step(id);
  if (!step) return; // it has ended
  if (type == FRAME_INPUT) take_input(&step->input, id, payload, length, output);
  else resize_terminal(&step->input, payload, length);
}

void signal_step(uint32_t id, const uint8_t *payload, size_t length) {
  if (length != 4) return;
  for (size_t i = 0; i < running_count; i++) {
    if (running[i].id != id) continue;
    // A keeper is asked: killed it would leave the step's root as it is.
    if (running[i].life >= 0) kill(running[i].pid, SIGTERM);
    else k_pidfd_send_signal(running[i].pidfd, (int)read_u32(payload));
  }
}

// The master of its terminal takes the place of the socket through which it comes.
static void take_terminal(struct running *step) {
  int master = take_descriptor(step->streams[0]);
  if (master < 0 && errno == EAGAIN) return;
  close(step->streams[0]);
  step->streams[0] = master;
  if (master >= 0) set_terminal(&step->input, master);
  if (master >= 0) pass_input(&step->input, step->id, output);
}

// Passes one chunk on; 0 when the stream has ended or has nothing now.
static size_t pass_chunk(struct running *step, int stream) {
  if (stream == 0 && step->input.terminal && step->input.fd < 0) return take_terminal(step), 0;
  uint8_t chunk[OUTPUT_CHUNK];
  ssize_t got = read(step->streams[stream], chunk, sizeof chunk);
  if (got > 0) {
    buffer_append_frame(output, stream == 0 ? FRAME_STDOUT : FRAME_STDERR, step->id, chunk, (size_t)got);
    return (size_t)got;
  }
  if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
    close(step->streams[stream]);
    step->streams[stream] = -1;
    if (stream == 0 && step->input.terminal) step->input.fd = -1, step->input.terminal = false;
  }
  return 0;
}

// No terminal holds more.
#define TERMINAL_CHUNKS 64

// The namespace's last process is gone, so what lies in the pipes is all that counts. There may be more: a process of
// another step can hold a pipe that was sent to it, and write on.
static void drain_stream(struct running *step, int stream) {
  int left = 0;
  // All of the step is gone: what it wrote to its terminal is followed by an error, unless another step holds it open.
  if (stream == 0 && step->input.terminal) {
    for (int chunk = 0; chunk < TERMINAL_CHUNKS && step->streams[0] >= 0; chunk++) pass_chunk(step, 0);
    return;
  }
  if (ioctl(step->streams[stream], FIONREAD, &left) < 0) return;
  for (size_t passed = 1; left > 0 && step->streams[stream] >= 0 && passed > 0; left -= (int)passed) passed = pass_chunk(step, stream);
}

static ssize_t report_unsupervised(uint8_t *report) {
  static const char operation[] = "the supervisor of the step ended";
  int error = EPIPE;
  report[0] = STATUS_SETUP_FAILED;
  memcpy(report + 1, &error, 4);
  memcpy(report + 5, operation, sizeof operation - 1);
  return (ssize_t)(5 + sizeof operation - 1);
}

// Whether memory was out for the step: in a cgroup of its own that is certain. Else, where it ended as those do whom the kernel kills
// then, whether it killed one where we are, of which no step was told.
static bool was_oom_killed(struct running *step) {
  if (step->cgroups) return count_oom_kills(step->cgroups) > 0;
  bool is_killed = WIFSIGNALED(step->wait_status) ? WTERMSIG(step->wait_status) == SIGKILL : WEXITSTATUS(step->wait_status) == 128 + SIGKILL;
  if (!is_killed) return false;
  uint64_t count = count_own_oom_kills();
  bool is_new = count > own_oom_kills;
  own_oom_kills = running_count > 1 && is_new ? own_oom_kills + 1 : count;
  return is_new;
}

static void finish_step(struct running *step) {
  for (int stream = 0; stream < 2; stream++) {
    if (step->streams[stream] >= 0) drain_stream(step, stream);
    if (step->streams[stream] >= 0) close(step->streams[stream]);
  }
  close_input(&step->input);
  // It holds the step's mounts too.
  if (step->supervisor > 0 && kill(step->supervisor, SIGKILL) == 0) waitpid(step->supervisor, NULL, 0);
  uint8_t report[1024];
  ssize_t length = read(step->status, report, sizeof report);
  struct buffer payload = {0};
  uint32_t status = (uint32_t)step->wait_status | (was_oom_killed(step) ? EXIT_OOM_KILLED : 0);
  if (step->cgroups) remove_step_cgroups(step->cgroups);
  free(step->cgroups);
  buffer_append(&payload, &status, 4);
  if (length < 5 && step->unsupervised) length = report_unsupervised(report);
  // One message, where the command never ran.
  if (length >= 5) buffer_append(&payload, report, (size_t)length);
  buffer_append_frame(output, FRAME_EXIT, step->id, payload.bytes, payload.end);
  free(payload.bytes);
  if (step->network) give_network_back(step->network, !step->insecure);
  close(step->status);
  if (step->pidfd >= 0) close(step->pidfd);
  remove_stubs(config, step->id);
  if (step->work) empty_work_directory(step->work);
  free(step->work);
  if (step->directory) clear_plain_directory(config, step->id, step->directory, step->held);
  free(step->directory);
}

// Its step's calls would fail from now on, and files belong to whom they do not. One that only makes devices is not missed, nor one
// whose step never came.
static bool supervisor_ended(pid_t pid, int status) {
  for (size_t i = 0; i < running_count; i++) {
    if (running[i].supervisor != pid) continue;
    running[i].supervisor = 0;
    running[i].unsupervised = config->single_id && status != 0;
    if (running[i].unsupervised) k_pidfd_send_signal(running[i].pidfd, SIGKILL);
    return true;
  }
  return false;
}

bool step_ended(pid_t pid, int status) {
  if (supervisor_ended(pid, status)) return true;
  for (size_t i = 0; i < running_count; i++) {
    if (running[i].pid != pid) continue;
    // A keeper that was killed, or failed half-way, left something to take back: that is waited for as for the step.
    if (running[i].life >= 0) {
      close(running[i].life);
      running[i].life = -1;
      running[i].wait_status = status;
      running[i].pid = start_undoing(config, running[i].id);
      if (running[i].pid > 0) return true;
      running[i].pid = pid;
    } else if (!config->chroot) running[i].wait_status = status;
    finish_step(&running[i]);
    running[i] = running[--running_count];
    return true;
  }
  return false;
}

size_t polled_by_steps(void) { return POLLED_BY_STEP * running_count; }

void poll_steps(struct pollfd *polled, bool room) {
  for (size_t i = 0; i < running_count; i++, polled += POLLED_BY_STEP) {
    for (int stream = 0; stream < 2; stream++) polled[stream] = (struct pollfd){.fd = room ? running[i].streams[stream] : -1, .events = POLLIN};
    polled[2] = (struct pollfd){.fd = running[i].input.held ? running[i].input.fd : -1, .events = POLLOUT};
  }
}

void serve_steps(const struct pollfd *polled) {
  for (size_t i = 0; i < running_count; i++, polled += POLLED_BY_STEP) {
    for (int stream = 0; stream < 2; stream++)
      if (polled[stream].revents) pass_chunk(&running[i], stream);
    if (polled[2].revents) pass_input(&running[i].input, running[i].id, output);
  }
}

void release_keepers(void) {
  for (size_t i = 0; i < running_count; i++)
    if (running[i].life >= 0) close(running[i].life);
}
