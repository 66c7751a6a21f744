#define _GNU_SOURCE
#include "chroot-sentinel.h"

#include <errno.h>
#include <linux/keyctl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../common/kernel.h"
#include "../supervisor/supervisor.h"
#include "failure.h"
#include "identity.h"
#include "landlock.h"
#include "process.h"
#include "step-filter.h"
#include "step-members.h"

// Each process in a domain below the one before: what is in a domain reaches what is below, and nothing above.
static void enter_domain(const struct watched *watched) {
  const struct landlock_rule rules[] = {{watched->guarded->root, LANDLOCK_EVERYTHING}, {watched->proc, LANDLOCK_READ_FILE | LANDLOCK_READ_DIR}};
  // Without scopes the sentinel finds by /proc whom it has to end.
  if (landlock_version() > 0 && !landlock_restrict(rules, watched->is_scoped ? 1 : 2, LANDLOCK_OWN_PEERS)) step_fail(errno, "Landlock");
}

// Only where a signal to the outside is refused may all that can be reached be killed.
static bool signals_stay_inside(const struct watched *watched) { return watched->is_scoped && kill(getppid(), 0) < 0 && errno == EPERM; }

// Ends the step when the sentinel cannot: the supervisor closes the pipe when it is gone.
_Noreturn static void stand_by(int down, pid_t sentinel) {
  char none;
  prctl(PR_SET_NAME, "stand-by");
  if (dup2(down, 3) < 0) _exit(1);
  for (int fd = 0; fd < 3; fd++) close(fd);
  k_close_range(4, ~0u, 0);
  while (read(3, &none, 1) < 0 && errno == EINTR) continue;
  // As long as the sentinel lives it does so itself, and tells how the command ended.
  while (getppid() == sentinel) usleep(1000);
  kill(-1, SIGKILL);
  _exit(0);
}

_Noreturn static void run_command(const struct watched *watched) {
  const struct guarded *guarded = watched->guarded;
  const struct step_spec *step = guarded->step;
  if (dup2(guarded->input, 0) < 0) step_fail(errno, "connect the streams");
  setsid();
  enter_domain(watched);
  set_limits(step);
  umask(022);
  syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL);
  enter_working_directory(guarded->cwd, step->cwd);
  struct step_spec process = *step;
  process.env = with_home(step);
  drop_privileges(guarded->config, step, -1);
  if (!install_step_filter()) step_fail(errno, "seccomp");
  int listener = install_listener(&watched->filter);
  // Installed, it asks about the next open: nothing is opened before somebody answers.
  if (listener < 0) step_fail(errno, errno == EBUSY ? "seccomp: calls are watched already (a step of tsbuild?)" : "seccomp: watch calls");
  if (hand_listener_over(watched->socket, listener) < 0) step_fail(errno, "seccomp: hand the listener over");
  close(listener);
  run_process(&process);
}

// Every process below is stopped before any is killed: else one that is not seen yet makes another.
static void kill_below(int proc) {
  unsigned before = 0, now;
  while ((now = signal_below(proc, getpid(), SIGSTOP)) > before) before = now;
  signal_below(proc, getpid(), SIGKILL);
}

_Noreturn static void end_step(const struct watched *watched, pid_t command, int status, bool is_known, bool scoped) {
  for (;;) {
    int ended_status;
    pid_t ended = waitpid(-1, &ended_status, WNOHANG);
    if (ended == command && !is_known) status = ended_status, is_known = true;
    if (ended < 0 && errno == ECHILD) break;
    if (ended != 0) continue;
    // Not once for each that is reaped: there may be thousands.
    if (scoped) kill(-1, SIGKILL);
    else kill_below(watched->proc);
    siginfo_t info;
    waitid(P_ALL, 0, &info, WEXITED | WNOWAIT);
  }
  if (is_known) (void)!write(watched->guarded->result, &status, sizeof status);
  _exit(0);
}

void watch_step(const struct watched *watched) {
  prctl(PR_SET_NAME, "sentinel");
  setsid();
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  enter_domain(watched);
  bool scoped = signals_stay_inside(watched);
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGCHLD);
  sigprocmask(SIG_SETMASK, &set, NULL);
  int signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
  if (signals < 0) step_fail(errno, "signalfd");
  pid_t own = getpid(), second = scoped ? fork() : 0;
  if (second < 0) step_fail(errno, "fork");
  if (scoped && second == 0) stand_by(watched->down, own);
  pid_t command = fork();
  if (command < 0) step_fail(errno, "fork");
  if (command == 0) run_command(watched);
  // The output belongs to the command alone, and so does what it said why it did not start.
  for (int fd = 0; fd < 4; fd++) close(fd);
  close(watched->socket);
  for (;;) {
    struct pollfd polled[] = {{.fd = watched->down, .events = POLLIN}, {.fd = signals, .events = POLLIN}};
    if (poll(polled, 2, -1) < 0) continue;
    struct signalfd_siginfo drained;
    while (read(signals, &drained, sizeof drained) > 0) continue;
    int status;
    pid_t ended;
    while ((ended = waitpid(-1, &status, WNOHANG)) > 0)
      if (ended == command) end_step(watched, command, status, true, scoped);
    if (polled[0].revents) end_step(watched, command, 0, false, scoped);
  }
}
