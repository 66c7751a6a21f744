#define _GNU_SOURCE
#include "supervisor.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

// Newer than the oldest headers that we compile with. Linux 5.19 and 6.6.
#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1ul << 5)
#endif
#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, uint64_t)
#endif
#ifndef SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP
#define SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP (1ul << 0)
#endif

int install_listener(const struct sock_fprog *filter) {
  // Else a signal interrupts a call that was answered in part: it would be made again, and find what it made itself.
  static const unsigned flags[] = {SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, SECCOMP_FILTER_FLAG_NEW_LISTENER};
  int listener = -1;
  for (size_t i = 0; i < 2 && listener < 0; i++) {
    listener = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags[i], filter);
    if (listener < 0 && errno != EINVAL) return -1;
  }
  return listener;
}

int send_descriptor(int socket, int fd) {
  char byte = 0;
  union {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(sizeof(int))];
  } control = {0};
  struct iovec iov = {&byte, 1};
  struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int));
  memcpy(CMSG_DATA(header), &fd, sizeof fd);
  return sendmsg(socket, &message, MSG_NOSIGNAL) < 0 ? -1 : 0;
}

int take_descriptor(int socket) {
  char byte;
  union {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(sizeof(int))];
  } control = {0};
  struct iovec iov = {&byte, 1};
  struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
  ssize_t got = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  if (got < 0) return -1;
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  int fd;
  if (got == 0 || !header || header->cmsg_type != SCM_RIGHTS || header->cmsg_len != CMSG_LEN(sizeof(int))) return errno = EPIPE, -1;
  memcpy(&fd, CMSG_DATA(header), sizeof fd);
  return fd;
}

int hand_listener_over(int socket, int listener) {
  char byte;
  if (send_descriptor(socket, listener) < 0) return -1;
  ssize_t got = recv(socket, &byte, 1, 0);
  if (got == 0) errno = EPIPE;
  return got == 1 ? 0 : -1;
}

int tell_that_it_serves(int socket) { return send(socket, "", 1, MSG_NOSIGNAL) == 1 ? 0 : -1; }

static void send_answer(const struct call *call, struct answer answer) {
  struct seccomp_notif_resp response = {.id = call->request->id};
  switch (answer.kind) {
  case ANSWER_KERNEL: response.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE; break;
  case ANSWER_VALUE: response.val = answer.value; break;
  case ANSWER_ERROR: response.error = -(int)answer.value; break;
  case ANSWER_DESCRIPTOR: {
    // One step: a descriptor that is put there is also returned.
    struct seccomp_notif_addfd added = {
        .id = call->request->id,
        .flags = SECCOMP_ADDFD_FLAG_SEND,
        .srcfd = (uint32_t)answer.value,
        .newfd_flags = answer.cloexec ? 02000000 : 0,
    };
    int put = ioctl(call->listener, SECCOMP_IOCTL_NOTIF_ADDFD, &added);
    int error = errno;
    close((int)answer.value);
    // EMFILE is the step's own limit: it waits on for an answer. ENOENT: it is gone.
    if (put >= 0 || error == ENOENT) return;
    response.error = -error;
  }
  }
  // ENOENT: the step's thread has been killed meanwhile.
  ioctl(call->listener, SECCOMP_IOCTL_NOTIF_SEND, &response);
}

static const struct trap *find_trap(const struct trap *traps, size_t count, uint32_t number) {
  for (size_t low = 0; low < count;) {
    size_t middle = low + (count - low) / 2;
    if (traps[middle].number == number) return &traps[middle];
    if (traps[middle].number < number) low = middle + 1;
    else count = middle;
  }
  return NULL;
}

// The kernel may know larger messages than our headers.
static struct seccomp_notif *allocate_request(size_t *size) {
  struct seccomp_notif_sizes sizes = {0};
  if (syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &sizes) < 0) _exit(71);
  *size = sizes.seccomp_notif > sizeof(struct seccomp_notif) ? sizes.seccomp_notif : sizeof(struct seccomp_notif);
  // Its answer is written to a struct of ours, so a longer one than ours would be read beyond its end.
  if (sizes.seccomp_notif_resp > sizeof(struct seccomp_notif_resp)) _exit(71);
  struct seccomp_notif *request = malloc(*size);
  if (!request) _exit(71);
  return request;
}

// Nobody who could ask is left. Before Linux 6.11 that is not told: there one waits on.
static bool is_over(int listener) {
  struct pollfd polled = {.fd = listener, .events = POLLIN};
  return poll(&polled, 1, 0) > 0 && polled.revents & POLLHUP;
}

void supervise(int listener, const struct trap *traps, size_t count, void *context) {
  size_t size;
  struct seccomp_notif *request = allocate_request(&size);
  // The step's thread and this one take turns on one processor: a fourth of the time of an answer. Older kernels: EINVAL.
#ifndef WITHOUT_SYNC_WAKE_UP // to measure what kernels before 6.6 cost
  ioctl(listener, SECCOMP_IOCTL_NOTIF_SET_FLAGS, SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP);
#endif
  for (;;) {
    memset(request, 0, size);
    if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, request) < 0) {
      int error = errno;
      // Each further question would be answered so at once, and a processor busy until the executor has seen the step's end.
      while (error == ENOENT && is_over(listener)) pause();
      // ENOENT: killed before it was read.
      if (error == EINTR || error == ENOENT) continue;
      _exit(71);
    }
    struct call call = {.request = request, .listener = listener, .context = context};
    const struct trap *trap = find_trap(traps, count, (uint32_t)request->data.nr);
    send_answer(&call, trap ? trap->handle(&call) : ask_kernel());
  }
}
