// The owner that a file has for a step whose files really are all one user's. It lies on the file itself, as an extended
// attribute: so it goes along with renames, links and copies up an overlay, and ends with its inode. Files and directories have
// `user.ts-oci.owner`. What may have no `user.*` (symbolic links, pipes, sockets) has a `security.capability` that says nothing of
// capabilities, as the kernel reads those of regular files alone. A file without a record is root's.
// The other side is builder/src/disk/owner-record.ts.
#ifndef TS_OCI_RECORD_H
#define TS_OCI_RECORD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#define RECORD_NAME "user.ts-oci.owner"
#define SPECIAL_RECORD_NAME "security.capability"

// A device is an empty file whose record names its type (S_IFCHR, S_IFBLK) and number.
struct record {
  uint32_t uid, gid, type, major, minor;
};

// By a path: false when there is none. `follow` as with stat.
bool read_record(const char *path, bool follow, struct record *record);
// What lies at the path; 0 or -errno. A record that says "root" is removed.
int write_record(const char *path, bool follow, mode_t mode, const struct record *record);
// Of an open descriptor (O_PATH as well), by /proc/self/fd of this process.
int write_record_of(int fd, const struct record *record);
// fchown, or a record where the id is not in the map of this user namespace; -1 with errno.
int give_to(int fd, uid_t uid, gid_t gid);
// What is recorded of a name, for what is open at `to`.
void copy_record(int from_directory, const char *from, int to);
bool is_record_name(const char *name);

#endif
