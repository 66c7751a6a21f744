// Codes of deflate and the bits that they become (RFC 1951, 3.2).
#ifndef TS_OCI_HUFFMAN_H
#define TS_OCI_HUFFMAN_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define LITERAL_SYMBOLS 286
#define DISTANCE_SYMBOLS 30
#define END_OF_BLOCK 256
#define MAX_CODE_BITS 15

struct code {
  // Bits in the order in which they are written, and how many.
  uint16_t bits[288];
  uint8_t lengths[288];
};

struct codes {
  struct code literals, distances;
  // The lengths of both as the header has them: symbols of its own code, with their extra bits above.
  uint16_t header[LITERAL_SYMBOLS + DISTANCE_SYMBOLS];
  size_t header_count;
  struct code header_code;
  unsigned literal_count, distance_count, header_code_count;
  uint64_t header_bits;
};

// Makes the codes that are best for these counts. Symbols that do not occur get no code.
void make_codes(struct codes *codes, const uint32_t *literal_counts, const uint32_t *distance_counts);
// The codes that need no header (RFC 1951, 3.2.6).
const struct codes *fixed_codes(void);
// Bits of everything counted, extra bits included.
uint64_t cost_of(const struct codes *codes, const uint32_t *literal_counts, const uint32_t *distance_counts);

extern const uint16_t length_bases[29], distance_bases[30];
extern const uint8_t length_extra_bits[29], distance_extra_bits[30];
extern const uint8_t length_indexes[259];

static inline unsigned length_symbol(unsigned length) {
  return 257u + length_indexes[length];
}

static inline unsigned distance_symbol(unsigned distance) {
  unsigned least = distance - 1;
  if (least < 4) return least;
  // Two symbols for each power of two: the bit below the highest one tells which.
  unsigned power = 31u - (unsigned)__builtin_clz(least);
  return 2 * power + ((least >> (power - 1)) & 1);
}

// Collects bits, the lowest first. `next` must have eight bytes of room whenever something is written.
struct bit_writer {
  uint8_t *next;
  uint64_t bits;
  unsigned count;
};

static inline void flush_bits(struct bit_writer *writer) {
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
  uint64_t bits = writer->bits;
#else
  uint64_t bits = __builtin_bswap64(writer->bits);
#endif
  memcpy(writer->next, &bits, sizeof bits);
  writer->next += writer->count >> 3;
  writer->bits >>= writer->count & ~7u;
  writer->count &= 7;
}

// Adds without a flush: up to 56 bits fit behind what a flush leaves.
static inline void add_bits(struct bit_writer *writer, uint32_t bits, unsigned count) {
  writer->bits |= (uint64_t)bits << writer->count;
  writer->count += count;
}

static inline void write_bits(struct bit_writer *writer, uint32_t bits, unsigned count) {
  add_bits(writer, bits, count);
  flush_bits(writer);
}

void align_to_byte(struct bit_writer *writer);
void write_bytes(struct bit_writer *writer, const uint8_t *bytes, size_t length);
void write_code_lengths(struct bit_writer *writer, const struct codes *codes);

static inline void write_literals(struct bit_writer *writer, const struct code *code, const uint8_t *bytes, size_t count) {
  // Three codes have 45 bits at most.
  for (; count >= 3; count -= 3, bytes += 3) {
    add_bits(writer, code->bits[bytes[0]], code->lengths[bytes[0]]);
    add_bits(writer, code->bits[bytes[1]], code->lengths[bytes[1]]);
    write_bits(writer, code->bits[bytes[2]], code->lengths[bytes[2]]);
  }
  for (; count > 0; count--, bytes++) write_bits(writer, code->bits[*bytes], code->lengths[*bytes]);
}

static inline void write_match(struct bit_writer *writer, const struct codes *codes, unsigned length, unsigned distance) {
  unsigned symbol = length_symbol(length), index = symbol - 257;
  // 15 + 5 + 15 + 13 bits at most.
  add_bits(writer, codes->literals.bits[symbol], codes->literals.lengths[symbol]);
  add_bits(writer, length - length_bases[index], length_extra_bits[index]);
  unsigned place = distance_symbol(distance);
  add_bits(writer, codes->distances.bits[place], codes->distances.lengths[place]);
  write_bits(writer, distance - distance_bases[place], distance_extra_bits[place]);
}

static inline void write_end_of_block(struct bit_writer *writer, const struct code *code) {
  write_bits(writer, code->bits[END_OF_BLOCK], code->lengths[END_OF_BLOCK]);
}

#endif
