#ifndef TS_OCI_SECCOMP_TABLES_H
#define TS_OCI_SECCOMP_TABLES_H

// The calls of one architecture: numbers as text ("12"), or the macro's name where it has no such call.
struct call_table {
  unsigned audit_arch;
  const char *const *allowed;
  unsigned count;
  const char *clone, *clone3, *personality, *socket;
};

extern const struct call_table native_calls;
#if defined(__x86_64__)
extern const struct call_table i386_calls;
#endif

#endif
