#define _GNU_SOURCE
#include "listener.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

// Younger than the headers that we may be compiled with.
#define SET_FLAGS _IOW('!', 4, uint64_t)
#define SYNC_WAKE_UP 1ull
#define PAGE 4096u

void prepare_listener(int listener) { ioctl(listener, SET_FLAGS, SYNC_WAKE_UP); }

int next_call(int listener, struct seccomp_notif *call) {
  memset(call, 0, sizeof *call);
  if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, call) == 0) return 1;
  // ENOENT: the caller was killed before we took its call.
  return errno == ENOENT || errno == EINTR || errno == EAGAIN ? 0 : -1;
}

bool still_asks(const struct asked *asked) { return ioctl(asked->listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &asked->call->id) == 0; }

ssize_t read_memory(const struct asked *asked, uint64_t address, void *into, size_t size) {
  struct iovec ours = {into, size}, theirs = {(void *)(uintptr_t)address, size};
  return process_vm_readv((pid_t)asked->call->pid, &ours, 1, &theirs, 1, 0);
}

bool read_path(const struct asked *asked, uint64_t address, char path[PATH_MAX]) {
  for (size_t length = 0; length < PATH_MAX;) {
    // A read that crosses into a page that is not there gives nothing of the one that is.
    size_t part = PAGE - (address + length) % PAGE;
    if (part > PATH_MAX - length) part = PATH_MAX - length;
    if (part > 256) part = 256;
    ssize_t got = read_memory(asked, address + length, path + length, part);
    if (got <= 0) return false;
    if (memchr(path + length, 0, (size_t)got)) return true;
    length += (size_t)got;
  }
  return false;
}

bool write_memory(const struct asked *asked, uint64_t address, const void *from, size_t size) {
  struct iovec ours = {(void *)from, size}, theirs = {(void *)(uintptr_t)address, size};
  // Its number may be another's since it asked.
  return still_asks(asked) && process_vm_writev((pid_t)asked->call->pid, &ours, 1, &theirs, 1, 0) == (ssize_t)size;
}

static void answer(const struct asked *asked, int64_t value, int error, uint32_t flags) {
  struct seccomp_notif_resp response = {.id = asked->call->id, .val = value, .error = -error, .flags = flags};
  // It fails when the caller is gone.
  ioctl(asked->listener, SECCOMP_IOCTL_NOTIF_SEND, &response);
}

void let_go_on(const struct asked *asked) { answer(asked, 0, 0, SECCOMP_USER_NOTIF_FLAG_CONTINUE); }
void answer_value(const struct asked *asked, int64_t value) { answer(asked, value, 0, 0); }
void answer_error(const struct asked *asked, int error) { answer(asked, 0, error, 0); }

void answer_descriptor(const struct asked *asked, int fd, bool close_on_exec) {
  struct seccomp_notif_addfd given = {
      .id = asked->call->id,
      .flags = SECCOMP_ADDFD_FLAG_SEND,
      .srcfd = (uint32_t)fd,
      .newfd_flags = close_on_exec ? 02000000 : 0,
  };
  if (ioctl(asked->listener, SECCOMP_IOCTL_NOTIF_ADDFD, &given) < 0) answer_error(asked, errno);
  close(fd);
}
