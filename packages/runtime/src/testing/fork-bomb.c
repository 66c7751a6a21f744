// Makes processes that wait, until no more can be made or 20,000 are there, and waits itself.
#include <unistd.h>

int main(void) {
  for (int made = 0; made < 20000; made++) {
    if (fork() != 0) continue;
    for (;;) pause();
  }
  pause();
}
