// Runs a command whose calls somebody watches already, as those of a step with one user id: `COMMAND [ARGUMENT]...`.
#define _GNU_SOURCE
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv) {
  struct sock_filter allow = {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW};
  struct sock_fprog filter = {1, &allow};
  // The listener stays open here: without one there would be room for another.
  if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &filter) < 0) return perror("watched"), 70;
  pid_t child = fork();
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, 9);
    execvp(argv[1], argv + 1);
    _exit(71);
  }
  int status;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 72;
}
