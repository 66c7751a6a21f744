// What a step reads as its standard input: bytes that its caller sends, one frame after the other.
#ifndef TS_OCI_INPUT_H
#define TS_OCI_INPUT_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol.h"

struct step_input {
  int fd;       // where bytes go, or -1: nowhere, or not yet
  bool terminal; // `fd` is that of a stream of output, and its end is a character
  bool ended;   // no more comes behind what is held
  bool held;    // a frame waits to be taken
  struct buffer bytes;
  uint16_t rows, columns; // of the terminal, as soon as it is there
};

// A frame of input: an empty one is the end. The next comes when this one was answered.
void take_input(struct step_input *input, uint32_t id, const uint8_t *payload, size_t length, struct buffer *output);
// Passes on what is held, as far as there is room.
void pass_input(struct step_input *input, uint32_t id, struct buffer *output);
void resize_terminal(struct step_input *input, const uint8_t *payload, size_t length);
void set_terminal(struct step_input *input, int master);
void close_input(struct step_input *input);

#endif
