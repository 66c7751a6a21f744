#define _GNU_SOURCE
#include "chroot-guard.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/keyctl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../common/kernel.h"
#include "../supervisor/supervisor.h"
#include "chroot-sentinel.h"
#include "failure.h"
#include "identity.h"
#include "landlock.h"
#include "step-filter.h"
#include "step-members.h"
#include "step-proc.h"

// Whoever looks into a process has to have its capabilities: all that a step has, and no more.
static void take_step_capabilities(void) {
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
  struct __user_cap_data_struct data[2] = {{0}};
  if (syscall(SYS_capget, &header, data) < 0) step_fail(errno, "capget");
  for (int i = 0; i < 2; i++) {
    data[i].permitted &= (uint32_t)(CHROOT_CAPABILITIES >> (32 * i));
    data[i] = (struct __user_cap_data_struct){.effective = data[i].permitted, .permitted = data[i].permitted};
  }
  if (syscall(SYS_capset, &header, data) < 0) step_fail(errno, "capset");
}

// Reads and writes the step's root and /proc, whatever becomes of this process: what it injects is opened under this.
static void confine_guard(int root, int proc) {
  const struct landlock_rule rules[] = {
      {root, LANDLOCK_EVERYTHING},
      {proc, LANDLOCK_READ_FILE | LANDLOCK_WRITE_FILE | LANDLOCK_READ_DIR | LANDLOCK_TRUNCATE},
  };
  if (landlock_version() > 0 && !landlock_restrict(rules, 2, LANDLOCK_OWN_PEERS)) step_fail(errno, "Landlock");
  if (fchdir(root) < 0 || chroot(".") < 0) step_fail(errno, "chroot");
}

// Answers the step's calls in a process of its own: the loop waits for nothing else.
static pid_t start_answering(int socket, int down, struct trap *traps, size_t count, struct step_proc *state) {
  pid_t pid = fork();
  if (pid != 0) return pid;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  prctl(PR_SET_NAME, "supervisor");
  // Its end is the step's end: the guard alone holds it.
  close(down);
  take_step_capabilities();
  int listener = take_descriptor(socket);
  // The step failed before it had one: it said why.
  if (listener < 0) _exit(0);
  if (tell_that_it_serves(socket) < 0) _exit(0);
  close(socket);
  supervise(listener, traps, count, state);
}

static int watch_children(void) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGCHLD);
  sigprocmask(SIG_SETMASK, &set, NULL);
  int signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
  if (signals < 0) step_fail(errno, "signalfd");
  return signals;
}

// As many processes and threads as a step may have: a container mostly has no limit of its own, and those of root are not
// counted by the kernel.
#define TASK_LIMIT 4096u
#define COUNT_MS 250

// Until all but the answering process has ended, which then has nobody to answer.
_Noreturn static void wait_for_all(int signals, int order, int down, int proc, pid_t sentinel, pid_t answering) {
  for (;;) {
    struct pollfd polled[] = {{.fd = down >= 0 ? order : -1, .events = POLLIN}, {.fd = signals, .events = POLLIN}};
    int ready = poll(polled, 2, down >= 0 ? COUNT_MS : -1);
    if (ready < 0) continue;
    struct signalfd_siginfo drained;
    while (read(signals, &drained, sizeof drained) > 0) continue;
    bool ends = polled[0].revents != 0;
    if (ready == 0 && count_below(proc, sentinel) > TASK_LIMIT) {
      tell_failure(EAGAIN, "the step has more than %u processes", TASK_LIMIT);
      ends = true;
    }
    pid_t ended;
    while ((ended = waitpid(-1, NULL, WNOHANG)) > 0) {
      ends |= ended == sentinel || ended == answering;
      if (ended == answering) answering = -1;
      if (ended == sentinel) sentinel = -1;
    }
    // The sentinel ends the step; was it killed itself, the second one does.
    if (ends && down >= 0) close(down), down = -1;
    if (sentinel < 0 && answering > 0) kill(answering, SIGKILL);
    if (ended < 0 && errno == ECHILD) _exit(0);
  }
}

void guard_step(const struct guarded *guarded) {
  const struct step_spec *step = guarded->step;
  int signals = watch_children();
  prctl(PR_SET_NAME, "guard");
  prctl(PR_SET_DUMPABLE, 0);
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) step_fail(errno, "forbid new privileges");
  compile_step_filter(!(step->flags & STEP_NETWORK_NONE));
  static struct step_proc state;
  static struct trap traps[TRAP_LIMIT];
  bool scoped = landlock_version() >= 6;
  size_t count = proc_traps(!scoped, traps);
  state.root = guarded->root;
  state.proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (state.proc < 0) step_fail(errno, "open /proc");
  confine_guard(guarded->root, state.proc);
  int sockets[2], down[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) < 0 || pipe2(down, O_CLOEXEC) < 0) step_fail(errno, "pipe");
  struct watched watched = {
      .guarded = guarded, .filter = compile_traps(traps, count), .socket = sockets[1], .down = down[0], .proc = state.proc, .is_scoped = scoped};
  state.sentinel = fork();
  if (state.sentinel < 0) step_fail(errno, "fork");
  if (state.sentinel == 0) {
    close(down[1]);
    close(sockets[0]);
    close(signals);
    close(guarded->order);
    watch_step(&watched);
  }
  close(sockets[1]);
  close(down[0]);
  close(guarded->result);
  close(1);
  close(2);
  pid_t answering = start_answering(sockets[0], down[1], traps, count, &state);
  if (answering < 0) step_fail(errno, "fork");
  close(sockets[0]);
  wait_for_all(signals, guarded->order, down[1], state.proc, state.sentinel, answering);
}
