#define _GNU_SOURCE
#include "moved-journal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "failure.h"

void write_journal(int journal, const struct moved *moved, const char *path, const char *other) {
  char line[sizeof *moved + 2 * PATH_MAX];
  struct moved head = *moved;
  head.length = (uint32_t)strlen(path);
  head.other_length = (uint32_t)strlen(other);
  if (head.length >= PATH_MAX || head.other_length >= PATH_MAX) step_fail(ENAMETOOLONG, "note %s", path);
  memcpy(line, &head, sizeof head);
  memcpy(line + sizeof head, path, head.length);
  memcpy(line + sizeof head + head.length, other, head.other_length);
  size_t size = sizeof head + head.length + head.other_length;
  // One write: a kill leaves no half of a line.
  if (write(journal, line, size) != (ssize_t)size) step_fail(errno, "write the step's journal");
}

static char *read_text(FILE *file, uint32_t length) {
  char *text = length < PATH_MAX ? calloc(1, length + 1) : NULL;
  if (text && fread(text, 1, length, file) == length) return text;
  free(text);
  return NULL;
}

struct lines read_journal(int directory) {
  struct lines lines = {0};
  struct moved head;
  int fd = openat(directory, JOURNAL_NAME, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
  FILE *file = fd < 0 ? NULL : fdopen(fd, "r");
  while (file && fread(&head, sizeof head, 1, file) == 1) {
    struct line line = {.moved = head, .path = read_text(file, head.length)};
    line.other = line.path ? read_text(file, head.other_length) : NULL;
    struct line *grown = line.other ? realloc(lines.items, (lines.count + 1) * sizeof *grown) : NULL;
    if (!grown) {
      free(line.path);
      free(line.other);
      break;
    }
    lines.items = grown;
    lines.items[lines.count++] = line;
  }
  if (file) fclose(file);
  return lines;
}

void free_lines(struct lines *lines) {
  for (size_t i = 0; i < lines->count; i++) {
    free(lines->items[i].path);
    free(lines->items[i].other);
  }
  free(lines->items);
}

void settle_journal(int journal, int root) {
  // Appending goes to the end, wherever it was read.
  lseek(journal, 0, SEEK_SET);
  struct moved head;
  struct lines times = {0};
  while (read(journal, &head, sizeof head) == (ssize_t)sizeof head) {
    char path[PATH_MAX] = {0};
    if (read(journal, path, head.length) != (ssize_t)head.length) break;
    lseek(journal, head.other_length, SEEK_CUR);
    struct line *grown = head.kind == MOVED_TIME ? realloc(times.items, (times.count + 1) * sizeof *grown) : NULL;
    if (!grown) continue;
    times.items = grown;
    times.items[times.count++] = (struct line){head, strdup(path), NULL};
  }
  for (size_t i = 0; i < times.count; i++) {
    struct stat status;
    if (times.items[i].path && fstatat(root, times.items[i].path, &status, AT_SYMLINK_NOFOLLOW) == 0)
      write_journal(journal, &(struct moved){.kind = MOVED_SETTLED, .sec = status.st_mtim.tv_sec, .nsec = status.st_mtim.tv_nsec}, times.items[i].path, "");
  }
  free_lines(&times);
}
