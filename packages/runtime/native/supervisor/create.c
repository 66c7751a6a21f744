// New files belong to whom makes them. Where that is root, and no set-group-id directory says otherwise, the kernel makes them; else
// this process does, in the same place and with no more rights, and records the owner.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "credentials.h"
#include "handlers.h"
#include "place.h"
#include "record.h"
#include "supervisor.h"

// Who will own what is made in the directory; false: root, as the kernel has it.
static bool owner_in(const struct call *call, const char *parent, struct record *owner) {
  const struct credentials *own = credentials_of(call);
  struct record above;
  struct stat status;
  bool is_recorded = read_record(parent, true, &above);
  *owner = (struct record){.uid = own->fsuid, .gid = own->fsgid};
  if ((is_recorded || owner->gid != 0) && stat(parent, &status) == 0 && status.st_mode & S_ISGID) owner->gid = above.gid;
  return owner->uid != 0 || owner->gid != 0;
}

// The place of what is made, and its owner. 1: to be made here; 0: the kernel does it.
static int prepare(const struct call *call, int directory, uint64_t path, char place[PLACE_SIZE], struct record *owner) {
  char parent[PLACE_SIZE];
  bool descriptor;
  if (locate(call, directory, path, false, place, &descriptor) < 0 || !parent_of(place, parent)) return 0;
  return owner_in(call, parent, owner);
}

// By a name in the /proc that is our current directory.
static int record_file(int fd, const struct record *owner) {
  char path[32];
  snprintf(path, sizeof path, "self/fd/%d", fd);
  return write_record(path, true, S_IFREG, owner);
}

// What is there is an answer: asked, the kernel would make it, as root's, if it has gone meanwhile (a lock). All else the kernel says:
// it may be a path that only the step can follow.
static struct answer refused(void) { return errno == EEXIST ? return_error(EEXIST) : ask_kernel(); }

// Whether the place is a link to what is not there: then it becomes that place. Not opened through the link: what came into its
// place meanwhile (a pipe) would be waited for.
static bool follow_to_nothing(char place[PLACE_SIZE]) {
  char target[4096];
  struct stat status;
  ssize_t length = readlink(place, target, sizeof target - 1);
  // A link of /proc leads to what is open, whatever it reads.
  if (length <= 0 || stat(place, &status) == 0 || errno != ENOENT) return false;
  target[length] = 0;
  size_t kept = target[0] == '/' ? 0 : (size_t)(strrchr(place, '/') + 1 - place);
  if (kept + (size_t)length >= PLACE_SIZE) return false;
  memcpy(place + kept, target, (size_t)length + 1);
  return true;
}

static struct answer open_file(struct call *call, int directory, uint64_t path, uint64_t flags, mode_t mode) {
  char place[PLACE_SIZE];
  struct record owner;
  bool unnamed = (flags & O_TMPFILE) == O_TMPFILE, descriptor;
  // With O_PATH the kernel makes nothing.
  if (flags & O_PATH || (!(flags & O_CREAT) && !unnamed)) return ask_kernel();
  if (unnamed) {
    if (locate(call, directory, path, false, place, &descriptor) < 0 || !owner_in(call, place, &owner)) return ask_kernel();
  } else if (!prepare(call, directory, path, place, &owner)) return ask_kernel();
  int ours = (int)(flags & (O_ACCMODE | O_APPEND | O_DSYNC | O_SYNC | O_NONBLOCK | O_DIRECT | O_LARGEFILE | O_NOATIME | O_TMPFILE | O_EXCL));
  if (!unnamed) ours |= O_CREAT | O_EXCL;
  mode &= 07777 & ~umask_of(call);
  int fd = open(place, ours | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY, mode);
  for (int links = 0; fd < 0 && errno == EEXIST && !unnamed && !(flags & (O_EXCL | O_NOFOLLOW)) && links < 40 && follow_to_nothing(place); links++) {
    char parent[PLACE_SIZE];
    if (!parent_of(place, parent) || !owner_in(call, parent, &owner)) return ask_kernel();
    fd = open(place, ours | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY, mode);
  }
  // It is there already, or cannot be made: the kernel opens it, or says so.
  if (fd < 0) return flags & O_EXCL ? refused() : ask_kernel();
  record_file(fd, &owner);
  return return_descriptor(fd, flags & O_CLOEXEC);
}

struct answer on_open(struct call *call) {
  return open_file(call, AT_FDCWD, argument(call, 0), (uint32_t)argument(call, 1), (mode_t)argument(call, 2));
}
struct answer on_creat(struct call *call) {
  return open_file(call, AT_FDCWD, argument(call, 0), O_CREAT | O_WRONLY | O_TRUNC, (mode_t)argument(call, 1));
}
struct answer on_openat(struct call *call) {
  return open_file(call, int_argument(call, 0), argument(call, 1), (uint32_t)argument(call, 2), (mode_t)argument(call, 3));
}

struct answer on_openat2(struct call *call) {
  struct open_how how;
  // With a resolution of its own it is not for us to say where that leads.
  if (argument(call, 3) < sizeof how || read_memory(call, argument(call, 2), &how, sizeof how) < 0 || how.resolve) return ask_kernel();
  return open_file(call, int_argument(call, 0), argument(call, 1), how.flags, (mode_t)how.mode);
}

static struct answer done(const char *place, const struct record *owner, mode_t type) {
  write_record(place, false, type, owner);
  return return_value(0);
}

static struct answer make_directory(struct call *call, int directory, uint64_t path, mode_t mode) {
  char place[PLACE_SIZE];
  struct record owner;
  if (!prepare(call, directory, path, place, &owner)) return ask_kernel();
  if (mkdir(place, mode & 01777 & ~umask_of(call)) < 0) return refused();
  return done(place, &owner, S_IFDIR);
}

struct answer on_mkdir(struct call *call) { return make_directory(call, AT_FDCWD, argument(call, 0), (mode_t)argument(call, 1)); }
struct answer on_mkdirat(struct call *call) { return make_directory(call, int_argument(call, 0), argument(call, 1), (mode_t)argument(call, 2)); }

static struct answer make_link(struct call *call, uint64_t target, int directory, uint64_t path) {
  char place[PLACE_SIZE], text[4096];
  struct record owner;
  if (!prepare(call, directory, path, place, &owner)) return ask_kernel();
  if (read_text(call, target, text, sizeof text) < 0) return ask_kernel();
  if (symlink(text, place) < 0) return refused();
  return done(place, &owner, S_IFLNK);
}

struct answer on_symlink(struct call *call) { return make_link(call, argument(call, 0), AT_FDCWD, argument(call, 1)); }
struct answer on_symlinkat(struct call *call) { return make_link(call, argument(call, 0), int_argument(call, 1), argument(call, 2)); }

// The kernel lets no user make a device: an empty file stands for it, and its record says what it is.
static struct answer make_device(struct call *call, const char *place, mode_t mode, uint32_t number, struct record *owner) {
  owner->type = mode & S_IFMT;
  owner->major = major(number);
  owner->minor = minor(number);
  int fd = open(place, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode & 07777 & ~umask_of(call));
  if (fd < 0) return return_error(errno);
  int error = record_file(fd, owner);
  close(fd);
  if (error < 0) unlink(place);
  return error < 0 ? return_error(EPERM) : return_value(0);
}

// To an overlay 0/0 means that nothing is there: it refuses to make one.
static bool is_emulated_device(mode_t mode, uint32_t number) { return S_ISBLK(mode) || (S_ISCHR(mode) && number != 0); }

static struct answer make_node(struct call *call, int directory, uint64_t path, mode_t mode, uint32_t number) {
  char place[PLACE_SIZE], parent[PLACE_SIZE];
  struct record owner;
  bool descriptor;
  if (is_emulated_device(mode, number)) {
    if (credentials_of(call)->euid != 0) return return_error(EPERM);
    if (locate(call, directory, path, false, place, &descriptor) < 0 || !parent_of(place, parent)) return ask_kernel();
    owner_in(call, parent, &owner);
    return make_device(call, place, mode, number, &owner);
  }
  if (S_ISCHR(mode) || !prepare(call, directory, path, place, &owner)) return ask_kernel();
  if (mknod(place, mode & ~umask_of(call), 0) < 0) return refused();
  return done(place, &owner, mode & S_IFMT ? mode & S_IFMT : S_IFREG);
}

struct answer on_mknod(struct call *call) {
  return make_node(call, AT_FDCWD, argument(call, 0), (mode_t)argument(call, 1), (uint32_t)argument(call, 2));
}
struct answer on_mknodat(struct call *call) {
  return make_node(call, int_argument(call, 0), argument(call, 1), (mode_t)argument(call, 2), (uint32_t)argument(call, 3));
}

// Where a step has ids of its own: all but devices is the kernel's, and who may make one is whom the kernel has let keep CAP_MKNOD.
static struct answer make_device_alone(struct call *call, int directory, uint64_t path, mode_t mode, uint32_t number) {
  char place[PLACE_SIZE], parent[PLACE_SIZE];
  struct record record = {0};
  bool descriptor;
  if (!is_emulated_device(mode, number) || !has_capability(call, CAP_MKNOD)) return ask_kernel();
  if (locate(call, directory, path, false, place, &descriptor) < 0 || !parent_of(place, parent)) return ask_kernel();
  return make_device(call, place, mode, number, &record);
}

struct answer on_device_mknod(struct call *call) {
  return make_device_alone(call, AT_FDCWD, argument(call, 0), (mode_t)argument(call, 1), (uint32_t)argument(call, 2));
}
struct answer on_device_mknodat(struct call *call) {
  return make_device_alone(call, int_argument(call, 0), argument(call, 1), (mode_t)argument(call, 2), (uint32_t)argument(call, 3));
}
