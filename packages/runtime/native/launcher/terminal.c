// The terminal of a step is one of its own /dev/pts, so that `tty` names a file that is there. The step makes it, before anything of
// the image runs, and the executor gets the other end.
#define _GNU_SOURCE
#include "terminal.h"

#include <asm/ioctls.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "../supervisor/supervisor.h"
#include "failure.h"

void open_terminal(const struct executor_config *config, const struct step_spec *step) {
  int master = open("/dev/pts/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  struct statfs status;
  // A mount of the caller may lie in its place.
  if (master >= 0 && (fstatfs(master, &status) < 0 || status.f_type != DEVPTS_SUPER_MAGIC)) errno = ENOTTY, master = -1;
  int locked = 0;
  if (master < 0 || ioctl(master, TIOCSPTLCK, &locked) < 0) step_fail(errno, "make a terminal");
  int terminal = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (terminal < 0) step_fail(errno, "open the terminal");
  if (!config->single_id && fchown(terminal, step->uid, (gid_t)-1) < 0) step_fail(errno, "set the owner of the terminal");
  if (send_descriptor(1, master) < 0) step_fail(errno, "hand the terminal over");
  for (int stream = 0; stream < 3; stream++)
    if (dup2(terminal, stream) < 0) step_fail(errno, "connect the streams");
  close(terminal);
  close(master);
}
