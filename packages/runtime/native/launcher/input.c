#define _GNU_SOURCE
#include "input.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

// The end of what is typed.
static const uint8_t end_of_file = 4;

static void answer(struct step_input *input, uint32_t id, int error, struct buffer *output) {
  uint32_t code = (uint32_t)error;
  input->held = false;
  free(input->bytes.bytes);
  input->bytes = (struct buffer){0};
  buffer_append_frame(output, FRAME_INPUT_TAKEN, id, &code, sizeof code);
}

static void end(struct step_input *input) {
  if (!input->ended || input->held || input->terminal || input->fd < 0) return;
  close(input->fd);
  input->fd = -1;
}

void pass_input(struct step_input *input, uint32_t id, struct buffer *output) {
  while (input->held && input->fd >= 0) {
    size_t left = input->bytes.end - input->bytes.start;
    ssize_t written = left ? write(input->fd, input->bytes.bytes + input->bytes.start, left) : 0;
    if (written < 0 && errno == EINTR) continue;
    if (written < 0 && errno == EAGAIN) return;
    if (written < 0) answer(input, id, errno, output);
    else if ((size_t)written == left) answer(input, id, 0, output);
    else input->bytes.start += (size_t)written;
  }
  end(input);
}

void take_input(struct step_input *input, uint32_t id, const uint8_t *payload, size_t length, struct buffer *output) {
  // One at a time: that bounds what is held.
  if (input->held || input->ended) return;
  if (input->fd < 0 && !input->terminal) return answer(input, id, EPIPE, output);
  input->held = true;
  input->ended = length == 0;
  if (length > 0) buffer_append(&input->bytes, payload, length);
  else if (input->terminal) buffer_append(&input->bytes, &end_of_file, 1);
  pass_input(input, id, output);
}

static void apply_size(const struct step_input *input) {
  struct winsize size = {.ws_row = input->rows, .ws_col = input->columns};
  if (input->fd >= 0 && input->rows > 0) ioctl(input->fd, TIOCSWINSZ, &size);
}

void resize_terminal(struct step_input *input, const uint8_t *payload, size_t length) {
  if (length != 8 || !input->terminal) return;
  input->columns = (uint16_t)read_u32(payload);
  input->rows = (uint16_t)read_u32(payload + 4);
  apply_size(input);
}

void set_terminal(struct step_input *input, int master) {
  input->fd = master;
  apply_size(input);
}

void close_input(struct step_input *input) {
  if (input->fd >= 0 && !input->terminal) close(input->fd);
  free(input->bytes.bytes);
  *input = (struct step_input){.fd = -1};
}
