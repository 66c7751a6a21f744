#define _GNU_SOURCE
#include "place.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "emulation.h"
#include "supervisor.h"

#define PIDFD_THREAD O_EXCL // Linux 6.9

// Reads "<name>:\t<value>" of a small file; the value, or NULL.
static char *field_of(const char *path, const char *name, char *text, size_t size) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return NULL;
  ssize_t length = read(fd, text, size - 1);
  close(fd);
  if (length <= 0) return NULL;
  text[length] = 0;
  char *at = strstr(text, name);
  return at ? at + strlen(name) : NULL;
}

// What the fdinfo of a pidfd tells: "Pid:" is the number in the namespace of this /proc.
static char *numbers_of(pid_t pid, const char *name, char *text, size_t size) {
  char path[48];
  int pidfd = (int)syscall(SYS_pidfd_open, pid, PIDFD_THREAD);
  if (pidfd < 0 && errno == EINVAL) pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
  if (pidfd < 0) return NULL;
  snprintf(path, sizeof path, "self/fdinfo/%d", pidfd);
  char *value = field_of(path, name, text, size);
  close(pidfd);
  return value;
}

int number_of(const struct call *call) {
  char text[512];
  if (!emulation_of(call)->outer_proc) return (int)call->request->pid;
  const char *value = numbers_of((pid_t)call->request->pid, "\nPid:", text, sizeof text);
  return value ? atoi(value) : 0;
}

static const char *status_field(const struct call *call, const char *name, char *text, size_t size) {
  char path[32];
  snprintf(path, sizeof path, "%d/status", number_of(call));
  return field_of(path, name, text, size);
}

mode_t read_umask(const struct call *call) {
  char text[2048];
  const char *value = status_field(call, "\nUmask:", text, sizeof text);
  return value ? (mode_t)strtoul(value, NULL, 8) & 0777 : 022;
}

bool has_capability(const struct call *call, int capability) {
  char text[4096];
  const char *value = status_field(call, "\nCapEff:", text, sizeof text);
  return value && strtoull(value, NULL, 16) >> capability & 1;
}

bool has_no_new_privileges(const struct call *call) {
  char text[4096];
  const char *value = status_field(call, "\nNoNewPrivs:", text, sizeof text);
  return value && atoi(value) != 0;
}

bool is_traced(const struct call *call) {
  char text[4096];
  const char *value = status_field(call, "\nTracerPid:", text, sizeof text);
  return value && atoi(value) != 0;
}

// A process in a root of its own: what an absolute path or link means is said by that. Each call sets it anew, so nothing is set back.
static int take_root(int number) {
  char path[24];
  snprintf(path, sizeof path, "%d/root", number);
  int proc = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC), root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
  int result = proc >= 0 && root >= 0 && fchdir(root) == 0 && chroot(".") == 0 ? 0 : -errno;
  if (proc >= 0 && fchdir(proc) < 0) _exit(79);
  if (proc >= 0) close(proc);
  if (root >= 0) close(root);
  return result;
}

// What a path names through the process's own links of /proc ("/proc/self/fd/5/file", "/dev/stdin"): `where` of its number, and
// the rest; NULL for all others. In that /proc `self` is nobody to this process. Nothing but these links: `..` below one of them
// goes up from where it leads, anywhere else it would reach the other processes of our own /proc.
static const char *through_own_links(const char *path, char where[24]) {
  static const char *const streams[] = {"/dev/stdin", "/dev/stdout", "/dev/stderr"};
  for (int i = 0; i < 3; i++)
    if (!strcmp(path, streams[i])) return sprintf(where, "fd/%d", i), "";
  const char *at = !strncmp(path, "/proc/self/", 11) ? path + 11 : !strncmp(path, "/proc/thread-self/", 18) ? path + 18 : NULL;
  const char *number = !strncmp(path, "/dev/fd/", 8) ? path + 8 : at && !strncmp(at, "fd/", 3) ? at + 3 : NULL;
  size_t length = number ? strspn(number, "0123456789") : 0;
  if (length > 0 && length <= 10) {
    sprintf(where, "fd/%.*s", (int)length, number);
    at = number + length;
  } else if (at && (!strncmp(at, "cwd", length = 3) || !strncmp(at, "root", length = 4))) {
    sprintf(where, "%.*s", (int)length, at);
    at += length;
  } else return NULL;
  return *at == '/' || *at == 0 ? at + strspn(at, "/") : NULL;
}

// A path that the step may just use is too long behind the number of its directory: its first half becomes a descriptor, the one that
// is kept for this. 0 or -errno.
static int shorten(char place[PLACE_SIZE]) {
  static int half = -1;
  char *slash = place + 3000;
  while (slash > place && *slash != '/') slash--;
  *slash = 0;
  if (half >= 0) close(half);
  half = open(place, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (half < 0) return -errno;
  char rest[PLACE_SIZE];
  strcpy(rest, slash + 1);
  snprintf(place, PLACE_SIZE, "self/fd/%d/%.4096s", half, rest);
  return 0;
}

int locate(const struct call *call, int directory, uint64_t path, bool may_be_empty, char place[PLACE_SIZE], bool *descriptor) {
  char text[4096];
  // A path of NULL is the descriptor too, since Linux 6.11.
  int length = may_be_empty && path == 0 ? (text[0] = 0) : read_text(call, path, text, sizeof text);
  if (length < 0) return length;
  *descriptor = false;
  if (length == 0 && !may_be_empty) return -ENOENT;
  char where[24];
  const char *rest = text[0] == '/' && !emulation_of(call)->chroots ? through_own_links(text, where) : NULL;
  int number = text[0] == '/' && !rest && !emulation_of(call)->chroots ? 0 : number_of(call);
  if (emulation_of(call)->chroots) {
    int error = number <= 0 ? -ESRCH : take_root(number);
    if (error < 0) return error;
  }
  if (text[0] == '/' && !rest) {
    memcpy(place, text, (size_t)length + 1);
    // Without a root of its own nothing was looked up by its number since the text was read.
    return !emulation_of(call)->chroots || still_waits(call) ? 0 : -ESRCH;
  }
  if (number <= 0) return -ESRCH;
  if (!rest && directory == AT_FDCWD) strcpy(where, "cwd");
  else if (!rest) snprintf(where, sizeof where, "fd/%u", (unsigned)directory);
  *descriptor = length == 0;
  if (!rest) rest = text;
  int whole = snprintf(place, PLACE_SIZE, *rest ? "%d/%s/%s" : "%d/%s", number, where, rest);
  int error = whole >= PATH_MAX ? shorten(place) : 0;
  if (error < 0) return error;
  // The number was another's, if the thread has ended since.
  return still_waits(call) ? 0 : -ESRCH;
}

bool parent_of(const char *place, char parent[PLACE_SIZE]) {
  size_t length = strlen(place);
  while (length > 1 && place[length - 1] == '/') length--;
  size_t end = length;
  while (length > 0 && place[length - 1] != '/') length--;
  size_t name = end - length;
  if (name == 0 || (name == 1 && place[length] == '.') || (name == 2 && place[length] == '.' && place[length + 1] == '.')) return false;
  memcpy(parent, place, length);
  strcpy(parent + length, ".");
  return true;
}
