#define _GNU_SOURCE
#include "init.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

// Enough for every real one.
#define PASSWD_LIMIT (8u << 20)

_Noreturn static void report_end(int status_pipe, int status) {
  char message[5] = {STATUS_ENDED};
  memcpy(message + 1, &status, 4);
  (void)!write(status_pipe, message, sizeof message);
  _exit(0);
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
    if (number > 0 && number != SIGCHLD) kill(command, number);
  }
}

const char *home_of(uid_t uid) {
  static char home[4096] = "HOME=/";
  char line[4096];
  // The file comes from the image: it may be a pipe or a device, of which even opening does something.
  struct stat status;
  if (stat("/etc/passwd", &status) < 0 || !S_ISREG(status.st_mode)) return home;
  int fd = open("/etc/passwd", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0 || fstat(fd, &status) < 0 || !S_ISREG(status.st_mode)) {
    if (fd >= 0) close(fd);
    return home;
  }
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
