// What a supervisor is told to do: which calls of a step it is asked about (traps), and what it answers.
#ifndef TS_OCI_TRAP_H
#define TS_OCI_TRAP_H

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// `kernel`: the call runs as if nobody had asked. The step may have changed its arguments meanwhile: so it is an answer only
// where the kernel's own refusals are enough, never because something was checked.
enum answer_kind { ANSWER_KERNEL, ANSWER_VALUE, ANSWER_ERROR, ANSWER_DESCRIPTOR };

struct answer {
  enum answer_kind kind;
  int64_t value; // what the call returns; its errno; or a descriptor of ours, which the loop closes
  bool cloexec;
};

static inline struct answer ask_kernel(void) { return (struct answer){ANSWER_KERNEL}; }
static inline struct answer return_value(int64_t value) { return (struct answer){ANSWER_VALUE, value}; }
static inline struct answer return_error(int error) { return (struct answer){ANSWER_ERROR, error}; }
static inline struct answer return_descriptor(int fd, bool cloexec) { return (struct answer){ANSWER_DESCRIPTOR, fd, cloexec}; }

// One call of a step that waits for an answer.
struct call {
  const struct seccomp_notif *request; // its pid is a thread, numbered as in our pid namespace
  int listener;
  void *context; // as given to supervise()
};

static inline uint64_t argument(const struct call *call, int index) { return call->request->data.args[index]; }
static inline int int_argument(const struct call *call, int index) { return (int)(uint32_t)argument(call, index); }

// A filter sees numbers, not memory: with a condition on an argument's low half most calls are never asked about.
// TRAP_EQUAL looks at the bits of `mask`; 0: at all.
enum trap_condition { TRAP_ALWAYS, TRAP_ANY_BIT, TRAP_NO_BIT, TRAP_EQUAL };

struct trap {
  uint32_t number; // of the machine's own ABI; calls of i386 and x32 are not asked about
  struct answer (*handle)(struct call *call);
  enum trap_condition condition;
  uint8_t argument;
  uint32_t value, mask;
};

#define TRAP_LIMIT 128

// The filter that asks about these calls and allows all others, for seccomp(NEW_LISTENER). Its memory is static.
// `traps` is sorted by number in place.
struct sock_fprog compile_traps(struct trap *traps, size_t count);

#endif
