#include "failure.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int pipe_fd = -1;
static char failure_tag = STATUS_SETUP_FAILED;

void report_failures_to(int status_pipe) { pipe_fd = status_pipe; }

void blame_failures_on(char tag) { failure_tag = tag; }

static void tell(int error, const char *format, va_list arguments) {
  // One write below PIPE_BUF arrives in one piece.
  char message[512] = {failure_tag};
  memcpy(message + 1, &error, 4);
  int length = vsnprintf(message + 5, sizeof message - 5, format, arguments);
  size_t size = 5 + (length < 0 ? 0 : (size_t)length < sizeof message - 6 ? (size_t)length : sizeof message - 6);
  while (size > 5 && message[size - 1] == ' ') size--;
  (void)!write(pipe_fd, message, size);
}

void tell_failure(int error, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  tell(error, format, arguments);
  va_end(arguments);
}

void step_fail(int error, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  tell(error, format, arguments);
  va_end(arguments);
  _exit(127);
}
