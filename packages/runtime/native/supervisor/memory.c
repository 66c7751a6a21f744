// The memory of a thread that waits for an answer. It may belong to several threads, and change at any moment: what was read is
// a copy, and the copy alone is acted on.
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>

#include "supervisor.h"

#define PAGE 4096u
// Most paths end sooner, and a page costs more to copy.
#define FIRST_CHUNK 256u

bool still_waits(const struct call *call) { return ioctl(call->listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &call->request->id) == 0; }

static int copy_in(const struct call *call, uint64_t address, void *into, size_t length) {
  struct iovec local = {into, length}, remote = {(void *)(uintptr_t)address, length};
  ssize_t got = process_vm_readv((pid_t)call->request->pid, &local, 1, &remote, 1, 0);
  if (got < 0) return -errno;
  return (size_t)got == length ? 0 : -EFAULT;
}

int read_memory(const struct call *call, uint64_t address, void *into, size_t length) {
  int error = copy_in(call, address, into, length);
  return error < 0 || still_waits(call) ? error : -ESRCH;
}

int read_text(const struct call *call, uint64_t address, char *into, size_t capacity) {
  size_t done = 0;
  while (done < capacity) {
    // Never across a page: the next one may not be there, and need not be.
    size_t chunk = PAGE - (size_t)((address + done) % PAGE), room = capacity - done;
    if (done == 0 && chunk > FIRST_CHUNK) chunk = FIRST_CHUNK;
    if (chunk > room) chunk = room;
    int error = copy_in(call, address + done, into + done, chunk);
    if (error < 0) return error;
    char *end = memchr(into + done, 0, chunk);
    if (end) return still_waits(call) ? (int)(end - into) : -ESRCH;
    done += chunk;
  }
  return -ENAMETOOLONG;
}

int write_memory(const struct call *call, uint64_t address, const void *from, size_t length) {
  struct iovec local = {(void *)from, length}, remote = {(void *)(uintptr_t)address, length};
  if (!still_waits(call)) return -ESRCH;
  ssize_t put = process_vm_writev((pid_t)call->request->pid, &local, 1, &remote, 1, 0);
  if (put < 0) return -errno;
  return (size_t)put == length ? 0 : -EFAULT;
}
