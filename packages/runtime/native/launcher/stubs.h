// Mount points that an image lacks.
#ifndef TS_OCI_STUBS_H
#define TS_OCI_STUBS_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct target {
  const char *path;
  bool file;
  bool no_links; // refuse an image that has a link there
  mode_t mode;   // of a directory that has to be made; 0: 0755
};
// Makes the mount points in a directory that becomes the lowest layer.
void make_low_stubs(const char *directory, const struct target *targets, size_t count);
// Makes mount points that a layer hides (a whiteout, a link to nowhere) in a directory that becomes the topmost lower
// layer; parents take mode, owner and time of what `root` shows. True when one was needed.
bool make_top_stubs(int root, const char *directory, const struct target *targets, size_t count);

// In a plain directory the mount points are made where they are missing, and noted in a file; whoever sees the end of the
// step takes away those that it left as they were. Directories above keep their times, both ways.
void plain_stub_notes(const char *state, uint32_t id, char path[PATH_MAX + 32]);
void make_plain_stubs(int root, const char *notes, const struct target *targets, size_t count);
void remove_plain_stubs(const char *directory, const char *notes);

#endif
