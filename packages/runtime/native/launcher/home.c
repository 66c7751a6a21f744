#define _GNU_SOURCE
#include "home.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "../common/kernel.h"

// Enough for every real one.
#define PASSWD_LIMIT (8u << 20)

// The file comes from the image: it may be a pipe or a device, of which even opening does something; or a link to a file of
// /proc, which this process, still root, would read for a step that may not (the kernel's log).
static int open_passwd(void) {
  static const int flags[] = {O_PATH, O_RDONLY | O_NONBLOCK};
  int fd = -1;
  for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
    if (fd >= 0) close(fd);
    fd = k_openat2(AT_FDCWD, "/etc/passwd", flags[i], K_RESOLVE_NO_MAGICLINKS);
    struct stat status;
    struct statfs system;
    if (fd < 0) return -1;
    if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && fstatfs(fd, &system) == 0 && system.f_type != K_PROC_MAGIC) continue;
    close(fd);
    return -1;
  }
  return fd;
}

const char *home_of(uid_t uid) {
  static char home[4096] = "HOME=/";
  char line[4096];
  int fd = open_passwd();
  if (fd < 0) return home;
  FILE *file = fdopen(fd, "r");
  // Or without end.
  for (size_t taken = 0; file && taken < PASSWD_LIMIT && fgets(line, sizeof line, file); taken += strlen(line) + 1) {
    char *fields[7], *rest = line;
    int count = 0;
    while (count < 7 && (fields[count] = strsep(&rest, ":\n"))) count++;
    char *end;
    if (count < 6 || !*fields[2] || strtoul(fields[2], &end, 10) != uid || *end) continue;
    if (*fields[5]) snprintf(home, sizeof home, "HOME=%s", fields[5]);
    break;
  }
  if (file) fclose(file);
  return home;
}
