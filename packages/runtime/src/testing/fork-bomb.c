// Makes processes that wait until no more can be made, and prints the errno of the refusal.
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

int main(void) {
  for (int made = 0; made < 100000; made++) {
    pid_t pid = fork();
    if (pid == 0)
      for (;;) pause();
    if (pid > 0) continue;
    printf("%d\n", errno);
    return 0;
  }
  return 1;
}
