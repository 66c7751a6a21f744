// Makes a chroot of its own, climbs from outside of it as far as it gets, and takes what is there as its root. Then tells for
// each argument whether that path exists.
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

int main(int count, char **arguments) {
  if (mkdir("/cell", 0755) < 0 || chroot("/cell") < 0) return 64;
  for (int i = 0; i < 64; i++)
    if (chdir("..") < 0) return 65;
  if (chroot(".") < 0) return 66;
  for (int i = 1; i < count; i++) printf("%s %s\n", arguments[i], access(arguments[i], F_OK) == 0 ? "there" : "missing");
  return 0;
}
