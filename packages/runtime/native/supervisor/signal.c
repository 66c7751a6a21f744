#define _GNU_SOURCE
#include <signal.h>

#include "supervisor.h"

// A signal that comes before this process has taken a call makes that fail by EINTR where the program's handler does not restart
// calls. No open or stat of a file fails so elsewhere: the shells dash and ash, whose children end at any time, do not expect it.
// Of SIGCHLD alone: that a timer or a terminal interrupts what waits is what programs want.
struct answer restart_after_children(struct call *call) {
  uint64_t action = argument(call, 1), fields[2]; // handler, flags
  if (action == 0 || read_memory(call, action, fields, sizeof fields) < 0) return ask_kernel();
  if (fields[0] <= 1 || fields[1] & SA_RESTART) return ask_kernel();
  fields[1] |= SA_RESTART;
  write_memory(call, action + sizeof fields[0], &fields[1], sizeof fields[1]);
  return ask_kernel();
}
