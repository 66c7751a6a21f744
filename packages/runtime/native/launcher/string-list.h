#ifndef TS_OCI_STRING_LIST_H
#define TS_OCI_STRING_LIST_H

#include <stddef.h>

struct strings {
  const char **items; // always ends with NULL once something was added; free() it
  size_t count;
};

// Keeps the pointer, not a copy. Ends the process when memory is out.
void add_string(struct strings *strings, const char *text);

#endif
