// Pid 1 of the executor's namespaces: takes requests from the control socket, starts steps and helpers, passes their
// output on, reaps. When the socket ends it ends, and the kernel ends everything below it.
#define _GNU_SOURCE
#include "executor.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../common/kernel.h"
#include "../network/pool.h"
#include "chroot-step.h"
#include "failure.h"
#include "helpers.h"
#include "input.h"
#include "limits.h"
#include "protocol.h"
#include "../supervisor/supervisor.h"
#include "step.h"
#include "supervision.h"

// No more output is read from steps while this much waits for the parent.
#define OUTPUT_HIGH_WATER (1u << 20)
#define OUTPUT_CHUNK 65536u
// A buffer for requests that is larger than this is given back once it is empty.
#define INPUT_KEPT (1u << 20)

struct running {
  uint32_t id;
  pid_t pid;
  int pidfd, streams[2], status;
  struct step_input input;
  int life; // its end is the end of a step without namespaces; -1 for others
  int wait_status;
  pid_t supervisor;  // or 0
  bool unsupervised; // it could not go on without one
  struct step_cgroups *cgroups; // of its own, or NULL
  struct step_network *network; // of the pool, or NULL
  bool insecure;
  char *work;      // the overlay's work directory
  char *directory; // the plain directory that was its root
  int held;        // that directory, or -1
};

static struct executor_config *config;
static int control, signals;
static struct buffer input, output;
static struct running *running;
static size_t running_count;
static uint64_t own_oom_kills; // in our own cgroup, as far as a step was told

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

static void send_start_failure(uint32_t id, int error, const char *operation) {
  struct buffer payload = {0};
  int status = 127 << 8;
  char tag = STATUS_SETUP_FAILED;
  buffer_append(&payload, &status, 4);
  buffer_append(&payload, &tag, 1);
  buffer_append(&payload, &error, 4);
  buffer_append(&payload, operation, strlen(operation));
  buffer_append_frame(&output, FRAME_EXIT, id, payload.bytes, payload.end);
  free(payload.bytes);
}

// Another executor may sweep a cgroup before the step is in it.
#define CGROUP_ATTEMPTS 64

static pid_t clone_once(const struct step_spec *step, struct running *entry, const struct step_cgroups *cgroups, struct step_descriptors fds) {
  struct kernel_clone_args args = {
      .flags = K_CLONE_PIDFD | K_CLONE_NEWNS | K_CLONE_NEWPID | K_CLONE_NEWIPC | K_CLONE_NEWUTS | K_CLONE_NEWCGROUP |
               (step->flags & STEP_NETWORK_NONE ? K_CLONE_NEWNET : 0) | (cgroups && cgroups->directory >= 0 ? K_CLONE_INTO_CGROUP : 0),
      .pidfd = (uint64_t)(uintptr_t)&entry->pidfd,
      .exit_signal = SIGCHLD,
      .cgroup = cgroups && cgroups->directory >= 0 ? (uint64_t)cgroups->directory : 0,
  };
  pid_t pid = k_clone3(&args);
  if (pid == 0) run_step(config, step, cgroups, entry->id, fds);
  return pid;
}

static pid_t clone_limited(const struct step_spec *step, struct running *entry, struct step_descriptors fds, struct limit_failure *failure) {
  struct step_cgroups *cgroups = malloc(sizeof *cgroups);
  if (!cgroups) _exit(70);
  pid_t pid = -1;
  for (int attempt = 0; attempt < CGROUP_ATTEMPTS && pid < 0; attempt++) {
    bool made = make_step_cgroups(config, step, cgroups, failure);
    if (made) pid = clone_once(step, entry, cgroups, fds);
    int error = errno;
    if (pid < 0) remove_step_cgroups(cgroups);
    errno = made ? error : failure->error;
    if (!made || (pid < 0 && error != ENODEV && error != ENOENT)) break;
  }
  entry->cgroups = cgroups;
  return pid;
}

static pid_t clone_step(const struct step_spec *step, struct running *entry, struct step_descriptors fds, struct limit_failure *failure) {
  // What limits all steps together is there before the first.
  if (config->settled >= 0) {
    (void)!read(config->settled, &(char){0}, 1);
    close(config->settled);
    config->settled = -1;
  }
  return has_own_cgroups(config, step) ? clone_limited(step, entry, fds, failure) : clone_once(step, entry, NULL, fds);
}

// Without namespaces: a process of ours keeps the step, and outlives this one for as long as it takes to put things back.
static pid_t fork_keeper(const struct step_spec *step, struct running *entry, struct step_descriptors fds) {
  int life[2];
  if (pipe2(life, O_CLOEXEC) < 0) return -1;
  pid_t pid = fork();
  if (pid == 0) run_chroot_step(config, step, entry->id, fds, life[0]);
  close(life[0]);
  if (pid < 0) close(life[1]);
  else entry->life = life[1];
  return pid;
}

// Standard input; and for a terminal a socket in the place of standard output, through which its master comes.
static int open_streams(const struct step_spec *step, int in[2], int out[2]) {
  bool terminal = step->flags & STEP_TERMINAL;
  int made = terminal ? socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, out) : pipe2(out, O_CLOEXEC);
  if (made < 0 || fcntl(out[0], F_SETFL, O_NONBLOCK) < 0) return errno;
  if (terminal && fcntl(out[1], F_SETFL, 0) < 0) return errno;
  if (terminal || !(step->flags & STEP_INPUT)) return 0;
  return pipe2(in, O_CLOEXEC) < 0 || fcntl(in[1], F_SETFL, O_NONBLOCK) < 0 ? errno : 0;
}

static int start_step(const struct step_spec *step, struct running *entry, struct limit_failure *failure) {
  int pipes[3][2] = {{-1, -1}, {-1, -1}, {-1, -1}};
  int in[2] = {-1, -1};
  pid_t pid = -1;
  int sockets[2] = {-1, -1};
  if (step->flags & STEP_NETWORK_POOL && !(entry->network = take_network())) {
    *failure = (struct limit_failure){.error = errno, .operation = "make the step's network"};
    return failure->error;
  }
  int error = open_streams(step, in, pipes[0]);
  if (!error && needs_supervisor(config, step) && socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) < 0) error = errno;
  for (int i = 1; i < 3 && !error; i++)
    // The status pipe keeps messages apart (O_DIRECT).
    if (pipe2(pipes[i], O_CLOEXEC | (i == 2 ? O_DIRECT : 0)) < 0 || fcntl(pipes[i][0], F_SETFL, O_NONBLOCK | (i == 2 ? O_DIRECT : 0)) < 0) error = errno;
  if (!error) {
    struct step_descriptors fds = {in[0], pipes[0][1], pipes[1][1], pipes[2][1], sockets[0], entry->network ? entry->network->inside.namespace : -1};
    pid = config->chroot ? fork_keeper(step, entry, fds) : clone_step(step, entry, fds, failure);
    if (pid < 0) error = errno;
    else if (sockets[1] >= 0) entry->supervisor = start_supervisor(config, step, sockets[0], sockets[1]);
  }
  // Without a supervisor the step sees the socket's end, and fails.
  for (int i = 0; i < 2; i++)
    if (sockets[i] >= 0) close(sockets[i]);
  for (int i = 0; i < 3; i++) {
    if (pipes[i][1] >= 0) close(pipes[i][1]);
    if (error && pipes[i][0] >= 0) close(pipes[i][0]);
  }
  if (in[0] >= 0) close(in[0]);
  if (error && in[1] >= 0) close(in[1]);
  entry->pid = pid;
  entry->input = (struct step_input){.fd = in[1], .terminal = step->flags & STEP_TERMINAL};
  entry->streams[0] = pipes[0][0];
  entry->streams[1] = pipes[1][0];
  entry->status = pipes[2][0];
  return error;
}

static void take_step(uint32_t id, const uint8_t *payload, size_t length) {
  struct step_spec step;
  struct running entry = {.id = id, .pidfd = -1, .life = -1, .held = -1};
  struct limit_failure failure = {0};
  int error = parse_step(payload, length, &step) ? 0 : EBADMSG;
  if (!error && step.directory && !config->chroot && (entry.held = hold_plain_directory(step.directory)) == -EBUSY)
    failure = (struct limit_failure){.error = error = EBUSY, .operation = "take the root, which a process of isolation chroot has"};
  if (!error) error = start_step(&step, &entry, &failure);
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

static void feed_step(uint32_t type, uint32_t id, const uint8_t *payload, size_t length) {
  struct running *step = find_step(id);
  if (!step) return; // it has ended
  if (type == FRAME_INPUT) take_input(&step->input, id, payload, length, &output);
  else resize_terminal(&step->input, payload, length);
}

static void signal_step(uint32_t id, const uint8_t *payload, size_t length) {
  if (length != 4) return;
  for (size_t i = 0; i < running_count; i++) {
    if (running[i].id != id) continue;
    // A keeper is asked: killed it would leave the step's root as it is.
    if (running[i].life >= 0) kill(running[i].pid, SIGTERM);
    else k_pidfd_send_signal(running[i].pidfd, (int)read_u32(payload));
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
  for (size_t i = 0; i < running_count; i++)
    if (running[i].life >= 0) close(running[i].life);
  end_executor(config);
}

static void take_frame(uint32_t type, uint32_t id, const uint8_t *payload, size_t length) {
  switch (type) {
  case FRAME_RUN_STEP: take_step(id, payload, length); return;
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

// The master of its terminal takes the place of the socket through which it comes.
static void take_terminal(struct running *step) {
  int master = take_descriptor(step->streams[0]);
  if (master < 0 && errno == EAGAIN) return;
  close(step->streams[0]);
  step->streams[0] = master;
  if (master >= 0) set_terminal(&step->input, master);
  if (master >= 0) pass_input(&step->input, step->id, &output);
}

// Passes one chunk on; 0 when the stream has ended or has nothing now.
static size_t pass_chunk(struct running *step, int stream) {
  if (stream == 0 && step->input.terminal && step->input.fd < 0) return take_terminal(step), 0;
  uint8_t chunk[OUTPUT_CHUNK];
  ssize_t got = read(step->streams[stream], chunk, sizeof chunk);
  if (got > 0) {
    buffer_append_frame(&output, stream == 0 ? FRAME_STDOUT : FRAME_STDERR, step->id, chunk, (size_t)got);
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
  buffer_append_frame(&output, FRAME_EXIT, step->id, payload.bytes, payload.end);
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

static void reap(void) {
  struct signalfd_siginfo drained[8];
  while (read(signals, drained, sizeof drained) > 0) continue;
  int status;
  pid_t pid;
  while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
    bool known = helper_ended(pid, status, &output) || supervisor_ended(pid, status);
    for (size_t i = 0; i < running_count && !known; i++) {
      if (running[i].pid != pid) continue;
      // A keeper that was killed, or failed half-way, left something to take back: that is waited for as for the step.
      if (running[i].life >= 0) {
        close(running[i].life);
        running[i].life = -1;
        running[i].wait_status = status;
        running[i].pid = start_undoing(config, running[i].id);
        if (running[i].pid > 0) break;
        running[i].pid = pid;
      } else if (!config->chroot) running[i].wait_status = status;
      finish_step(&running[i]);
      running[i] = running[--running_count];
      known = true;
    }
  }
}

static void serve_once(struct pollfd *polled) {
  bool room = output.end - output.start < OUTPUT_HIGH_WATER;
  polled[0] = (struct pollfd){.fd = control, .events = POLLIN | (output.end > output.start ? POLLOUT : 0)};
  polled[1] = (struct pollfd){.fd = signals, .events = POLLIN};
  for (size_t i = 0; i < running_count; i++) {
    for (int stream = 0; stream < 2; stream++)
      polled[2 + 3 * i + stream] = (struct pollfd){.fd = room ? running[i].streams[stream] : -1, .events = POLLIN};
    polled[2 + 3 * i + 2] = (struct pollfd){.fd = running[i].input.held ? running[i].input.fd : -1, .events = POLLOUT};
  }
  if (poll(polled, 2 + 3 * running_count, -1) < 0) return;
  for (size_t i = 0; i < running_count; i++) {
    for (int stream = 0; stream < 2; stream++)
      if (polled[2 + 3 * i + stream].revents) pass_chunk(&running[i], stream);
    if (polled[2 + 3 * i + 2].revents) pass_input(&running[i].input, running[i].id, &output);
  }
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
  own_oom_kills = count_own_oom_kills();
  struct pollfd *polled = NULL;
  for (;;) {
    struct pollfd *grown = realloc(polled, (2 + 3 * (running_count + 1)) * sizeof *polled);
    if (!grown) _exit(70);
    polled = grown;
    serve_once(polled);
  }
}
