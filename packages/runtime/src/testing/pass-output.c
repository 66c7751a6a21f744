// "give SOCKET" sends its standard output to "take SOCKET", which writes into it until nobody reads (exit 0), or for long (5).
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

// Some that a reader without bound can hold.
#define WRITES 1000

int main(int count, char **arguments) {
  if (count != 3) return 64;
  static char block[65536];
  int peer = socket(AF_UNIX, SOCK_STREAM, 0), descriptor = 1;
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  strncpy(address.sun_path, arguments[2], sizeof address.sun_path - 1);
  union {
    struct cmsghdr header;
    char space[CMSG_SPACE(sizeof(int))];
  } control = {0};
  struct iovec text = {.iov_base = block, .iov_len = 1};
  struct msghdr message = {.msg_iov = &text, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
  if (!strcmp(arguments[1], "give")) {
    fcntl(1, F_SETPIPE_SZ, 1 << 20);
    while (connect(peer, (struct sockaddr *)&address, sizeof address) < 0) usleep(10000);
    control.header = (struct cmsghdr){.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int))};
    memcpy(CMSG_DATA(&control.header), &descriptor, sizeof descriptor);
    if (sendmsg(peer, &message, 0) != 1) return 1;
    // Until the other writes.
    return read(peer, block, 1) == 1 ? 0 : 2;
  }
  signal(SIGPIPE, SIG_IGN);
  if (bind(peer, (struct sockaddr *)&address, sizeof address) < 0 || listen(peer, 1) < 0) return 3;
  int giver = accept(peer, NULL, NULL);
  if (recvmsg(giver, &message, 0) != 1) return 4;
  memcpy(&descriptor, CMSG_DATA(&control.header), sizeof descriptor);
  // Several, so that the pipe is never empty.
  for (int i = 0; i < 2; i++) fork();
  for (int i = 0; i < WRITES; i++) {
    if (write(descriptor, block, sizeof block) < 0) return 0;
    if (i == 8) (void)!write(giver, block, 1);
  }
  return 5;
}
