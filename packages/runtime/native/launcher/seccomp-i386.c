// 32-bit programs in a 64-bit image, which Docker allows too. A file of its own: the headers define the same names.
#if defined(__x86_64__)
#include <asm/unistd_32.h>
#include <linux/audit.h>

#include "seccomp-tables.h"
#include "seccomp-numbers.h"

static const char *const allowed[] = {
#include "seccomp-names.h"
};

const struct call_table i386_calls = {
    .audit_arch = AUDIT_ARCH_I386,
    .allowed = allowed,
    .count = sizeof allowed / sizeof *allowed,
    .clone = TEXT(__NR_clone),
    .clone3 = TEXT(__NR_clone3),
    .personality = TEXT(__NR_personality),
    .socket = TEXT(__NR_socket),
};
#endif
