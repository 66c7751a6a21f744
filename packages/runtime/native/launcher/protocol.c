#define _GNU_SOURCE
#include "protocol.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

void buffer_reserve(struct buffer *buffer, size_t more) {
  size_t held = buffer->end - buffer->start;
  if (buffer->start > 0 && (held == 0 || buffer->capacity - buffer->end < more)) {
    memmove(buffer->bytes, buffer->bytes + buffer->start, held);
    buffer->start = 0;
    buffer->end = held;
  }
  if (buffer->capacity - buffer->end >= more) return;
  size_t capacity = buffer->capacity ? buffer->capacity : 65536;
  while (capacity - buffer->end < more) capacity *= 2;
  uint8_t *grown = realloc(buffer->bytes, capacity);
  // Nothing can be served without memory; the parent sees the socket's end.
  if (!grown) _exit(70);
  buffer->bytes = grown;
  buffer->capacity = capacity;
}

void buffer_append(struct buffer *buffer, const void *bytes, size_t length) {
  buffer_reserve(buffer, length);
  memcpy(buffer->bytes + buffer->end, bytes, length);
  buffer->end += length;
}

static void write_u32(uint8_t *bytes, uint32_t value) {
  for (int i = 0; i < 4; i++) bytes[i] = (uint8_t)(value >> (8 * i));
}

void buffer_append_frame(struct buffer *buffer, uint32_t type, uint32_t id, const void *payload, size_t length) {
  uint8_t header[FRAME_HEADER];
  write_u32(header, (uint32_t)length);
  write_u32(header + 4, type);
  write_u32(header + 8, id);
  buffer_append(buffer, header, sizeof header);
  buffer_append(buffer, payload, length);
}

uint32_t read_u32(const uint8_t *bytes) {
  return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

uint64_t read_u64(const uint8_t *bytes) { return (uint64_t)read_u32(bytes) | (uint64_t)read_u32(bytes + 4) << 32; }

int next_field(struct cursor *cursor, struct field *field) {
  size_t left = (size_t)(cursor->end - cursor->at);
  if (left == 0) return 0;
  if (left < 8) return -1;
  field->tag = read_u32(cursor->at);
  field->length = read_u32(cursor->at + 4);
  field->bytes = cursor->at + 8;
  if (field->length > left - 8) return -1;
  cursor->at = field->bytes + field->length;
  return 1;
}

const char *field_string(const struct field *field) {
  if (field->length == 0) return NULL;
  return memchr(field->bytes, 0, field->length) == field->bytes + field->length - 1 ? (const char *)field->bytes : NULL;
}

void send_failure(int socket, const char *operation, int error) {
  struct buffer buffer = {0};
  uint8_t payload[4 + 512];
  size_t length = strnlen(operation, 512);
  write_u32(payload, (uint32_t)error);
  memcpy(payload + 4, operation, length);
  buffer_append_frame(&buffer, FRAME_FAILED, 0, payload, 4 + length);
  // A frame this small goes out in one piece; if the parent is gone nobody needs it.
  (void)!send(socket, buffer.bytes, buffer.end, MSG_NOSIGNAL);
  free(buffer.bytes);
}
