// One entry of a walk: 24 words of 32 bits in the order that src/files/packed-entries.ts reads. 64-bit numbers take two
// words, low word first, and stand at even words, so that the inode can be read as one number.
#ifndef TS_OCI_RECORD_H
#define TS_OCI_RECORD_H

#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include "../common/kernel.h"

struct record {
  uint32_t mode, uid, gid, nlink;
  uint64_t size;
  int64_t mtime_sec;
  uint32_t mtime_nsec, ctime_nsec;
  int64_t ctime_sec;
  uint64_t dev;
  uint64_t ino;
  uint32_t rdev_major, rdev_minor;
  uint32_t name_offset, name_length;
  int32_t parent;
  uint32_t end;
  uint32_t link_length;
  uint32_t flags;
};

_Static_assert(sizeof(struct record) == 96, "the layout is shared with packed-entries.ts");

#define RECORD_HAS_XATTRS 1u

static inline void record_from_stat(struct record *record, const struct stat *status) {
  memset(record, 0, sizeof *record);
  record->mode = status->st_mode;
  record->uid = status->st_uid;
  record->gid = status->st_gid;
  record->nlink = (uint32_t)status->st_nlink;
  record->size = (uint64_t)status->st_size;
  record->mtime_sec = status->st_mtim.tv_sec;
  record->mtime_nsec = (uint32_t)status->st_mtim.tv_nsec;
  record->ctime_sec = status->st_ctim.tv_sec;
  record->ctime_nsec = (uint32_t)status->st_ctim.tv_nsec;
  record->dev = status->st_dev;
  record->ino = status->st_ino;
  record->rdev_major = k_major(status->st_rdev);
  record->rdev_minor = k_minor(status->st_rdev);
  record->parent = -1;
}

#endif
