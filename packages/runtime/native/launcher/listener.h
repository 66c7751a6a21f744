// The supervisor's side of a seccomp filter that asks: one call of a step at a time, its memory, and the answers.
#ifndef TS_OCI_LISTENER_H
#define TS_OCI_LISTENER_H

#include <limits.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

// One call that waits.
struct asked {
  int listener;
  const struct seccomp_notif *call;
};

// Wakes the supervisor on the step's core and back, where the kernel can (6.6).
void prepare_listener(int listener);
// 1: `call` is filled in; 0: nobody asks any more, or that one is gone; -1: the listener has ended.
int next_call(int listener, struct seccomp_notif *call);
// Whether the caller still waits: what was looked up by its number before is its own.
bool still_asks(const struct asked *asked);

// Reads up to `size` bytes; short where the caller's memory ends. -1 where it cannot be looked into.
ssize_t read_memory(const struct asked *asked, uint64_t address, void *into, size_t size);
// The string at `address`; false when it is none, or as long as PATH_MAX.
bool read_path(const struct asked *asked, uint64_t address, char path[PATH_MAX]);
bool write_memory(const struct asked *asked, uint64_t address, const void *from, size_t size);

// The kernel makes the call as it stands in the caller's memory then: for what is harmless whatever it says.
void let_go_on(const struct asked *asked);
void answer_value(const struct asked *asked, int64_t value);
void answer_error(const struct asked *asked, int error);
// Gives the caller a descriptor, and its number as the answer. Closes `fd`.
void answer_descriptor(const struct asked *asked, int fd, bool close_on_exec);

#endif
