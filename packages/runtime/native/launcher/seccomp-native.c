#include <linux/audit.h>
#include <sys/syscall.h>

#include "seccomp-tables.h"
#include "seccomp-numbers.h"

#if defined(__x86_64__)
#define NATIVE_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define NATIVE_ARCH AUDIT_ARCH_AARCH64
#else
#error "no seccomp policy for this architecture: add its AUDIT_ARCH here"
#endif

static const char *const allowed[] = {
#include "seccomp-names.h"
};

const struct call_table native_calls = {
    .audit_arch = NATIVE_ARCH,
    .allowed = allowed,
    .count = sizeof allowed / sizeof *allowed,
    .clone = TEXT(__NR_clone),
    .clone3 = TEXT(__NR_clone3),
    .personality = TEXT(__NR_personality),
    .socket = TEXT(__NR_socket),
};
