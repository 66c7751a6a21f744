// What a signal does while JavaScript is busy. Node's handler only writes to a pipe that the main thread reads: while that
// one computes, or waits in a call, no signal has any effect. So a handler stands in front of Node's. The first signal
// goes on to Node, which ends what it does in order; a second one, or a main thread that has not answered in time, ends
// the process here. Steps and mounts go with the executor, which sees its socket end.
#define _GNU_SOURCE
#include "call.h"

#include <signal.h>
#include <unistd.h>

static const int guarded[] = {SIGINT, SIGTERM, SIGHUP};
#define GUARDED (sizeof guarded / sizeof guarded[0])

static struct sigaction before[GUARDED];
static volatile sig_atomic_t first_signal;
static unsigned grace_seconds;

static void on_deadline(int number) {
  _exit(128 + first_signal);
}

// Only calls that a handler may make: _exit, alarm, and Node's handler.
static void on_signal(int number, siginfo_t *info, void *context) {
  if (first_signal != 0) _exit(128 + number);
  first_signal = number;
  alarm(grace_seconds);
  for (size_t i = 0; i < GUARDED; i++) {
    if (guarded[i] != number) continue;
    if (before[i].sa_flags & SA_SIGINFO) before[i].sa_sigaction(number, info, context);
    else if (before[i].sa_handler != SIG_DFL && before[i].sa_handler != SIG_IGN) before[i].sa_handler(number);
    else if (before[i].sa_handler == SIG_DFL) _exit(128 + number);
  }
}

// To be called when Node's own handlers are there: it installs them with the first listener of a signal.
napi_value native_guard_signals(napi_env env, napi_callback_info info) {
  napi_value arguments[1];
  call_arguments(env, info, 1, arguments);
  int error;
  if ((error = get_unsigned(env, arguments[0], &grace_seconds))) return answer(env, error);
  struct sigaction deadline = {.sa_handler = on_deadline, .sa_flags = SA_RESTART};
  sigfillset(&deadline.sa_mask);
  if (sigaction(SIGALRM, &deadline, NULL) < 0) return answer_call(env, -1);
  for (size_t i = 0; i < GUARDED; i++) {
    struct sigaction known;
    if (sigaction(guarded[i], NULL, &known) < 0) return answer_call(env, -1);
    if ((known.sa_flags & SA_SIGINFO) && known.sa_sigaction == on_signal) continue;
    before[i] = known;
    struct sigaction ours = {.sa_sigaction = on_signal, .sa_flags = SA_RESTART | SA_SIGINFO};
    sigfillset(&ours.sa_mask);
    if (sigaction(guarded[i], &ours, NULL) < 0) return answer_call(env, -1);
  }
  return answer(env, 0);
}
