// reach-socket PATH...: prints each path behind which somebody listens. A socket that was copied is a name and nothing more.
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int main(int count, char **paths) {
  for (int i = 1; i < count; i++) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    strncpy(address.sun_path, paths[i], sizeof address.sun_path - 1);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0) printf("reached %s\n", paths[i]);
    close(fd);
  }
  return 0;
}
