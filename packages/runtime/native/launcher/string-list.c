#include "string-list.h"

#include <stdlib.h>
#include <unistd.h>

void add_string(struct strings *strings, const char *text) {
  const char **moved = realloc(strings->items, (strings->count + 2) * sizeof *moved);
  if (!moved) _exit(70);
  strings->items = moved;
  moved[strings->count++] = text;
  moved[strings->count] = NULL;
}
