#define _GNU_SOURCE
#include "init.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../common/kernel.h"
#include "failure.h"

// Enough for every real one.
#define PASSWD_LIMIT (8u << 20)

_Noreturn static void report_end(int status_pipe, int status) {
  char message[5] = {STATUS_ENDED};
  memcpy(message + 1, &status, 4);
  (void)!write(status_pipe, message, sizeof message);
  _exit(0);
}

// Whether the command has a handler for it ("SigCgt:" is a mask).
static bool catches(pid_t command, int number) {
  char path[32], line[256];
  unsigned long long mask = 0;
  snprintf(path, sizeof path, "/proc/%d/status", command);
  FILE *file = fopen(path, "re");
  while (file && fgets(line, sizeof line, file))
    if (sscanf(line, "SigCgt: %llx", &mask) == 1) break;
  if (file) fclose(file);
  return mask >> (number - 1) & 1;
}

void serve_as_init(pid_t command, int status_pipe) {
  sigset_t all;
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, NULL);
  // The output belongs to the command alone.
  for (int fd = 0; fd < 3; fd++) close(fd);
  for (;;) {
    int status;
    pid_t ended;
    while ((ended = waitpid(-1, &status, WNOHANG)) > 0)
      if (ended == command) report_end(status_pipe, status);
    siginfo_t signal;
    int number = sigwaitinfo(&all, &signal);
    // Docker's process 1 is the command, which the kernel spares what its own namespace sends and it does not handle.
    if (number > 0 && number != SIGCHLD && (signal.si_pid == 0 || catches(command, number))) kill(command, number);
  }
}

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
