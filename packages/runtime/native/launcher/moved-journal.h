// The journal of a step without mounts (moved-tree.h): each line is written before what it tells is done.
#ifndef TS_OCI_MOVED_JOURNAL_H
#define TS_OCI_MOVED_JOURNAL_H

#include <stddef.h>
#include <stdint.h>

#define MOVED_PREFIX "step-"
#define JOURNAL_NAME "journal"

enum moved_kind {
  MOVED_ROOT = 1,   // `path`: the root, absolute
  MOVED_ASIDE = 2,  // `path` was put into the step's directory as `other`
  MOVED_MADE = 3,   // `path` was made, and goes with all that is in it
  MOVED_PARENT = 4, // `path` was made, and goes if nothing is in it
  MOVED_IN = 5,     // `other` (absolute) was moved to `path`; sec and nsec: device and inode
  MOVED_TIME = 6,   // `path` had this time of change
  MOVED_SETTLED = 7, // and this one when all was in place
  MOVED_STAYS = 8    // `path` was made and has to be there in the end, with no other name; sec and nsec: device and inode
};

struct moved {
  uint32_t kind, length, other_length; // lengths are filled in
  int64_t sec, nsec;
};

struct line {
  struct moved moved;
  char *path, *other;
};

struct lines {
  struct line *items;
  size_t count;
};

// Ends the process on failure (failure.h).
void write_journal(int journal, const struct moved *moved, const char *path, const char *other);
// Writes a line MOVED_SETTLED for each directory that has one of MOVED_TIME.
void settle_journal(int journal, int root);
// The lines of the journal in a step's directory: as far as they are whole.
struct lines read_journal(int directory);
void free_lines(struct lines *lines);

#endif
