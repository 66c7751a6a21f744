#include "huffman.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#define HEADER_SYMBOLS 19
#define HEADER_CODE_BITS 7

// RFC 1951, 3.2.5.
const uint16_t length_bases[29] = {3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258};
const uint8_t length_extra_bits[29] = {0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0};
const uint16_t distance_bases[30] = {1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577};
const uint8_t distance_extra_bits[30] = {0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13};
// Which of the above a length belongs to.
const uint8_t length_indexes[259] = {
    0,  0,  0,  0,  1,  2,  3,  4,  5,  6,  7,  8,  8,  9,  9,  10, 10, 11, 11, 12, 12, 12, 12, 13, 13, 13, 13, 14, 14, 14, 14, 15, 15, 15, 15, 16, 16, 16, 16, 16, 16, 16, 16, 17, 17, 17, 17, 17, 17, 17, 17, 18,
    18, 18, 18, 18, 18, 18, 18, 19, 19, 19, 19, 19, 19, 19, 19, 20, 20, 20, 20, 20, 20, 20, 20, 20, 20, 20, 20, 20, 20, 20, 20, 21, 21, 21, 21, 21, 21, 21, 21, 21, 21, 21, 21, 21, 21, 21, 21, 22, 22, 22, 22, 22,
    22, 22, 22, 22, 22, 22, 22, 22, 22, 22, 22, 23, 23, 23, 23, 23, 23, 23, 23, 23, 23, 23, 23, 23, 23, 23, 23, 24, 24, 24, 24, 24, 24, 24, 24, 24, 24, 24, 24, 24, 24, 24, 24, 24, 24, 24, 24, 24, 24, 24, 24, 24,
    24, 24, 24, 24, 24, 24, 24, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 26, 26, 26, 26, 26, 26, 26, 26, 26, 26, 26, 26, 26,
    26, 26, 26, 26, 26, 26, 26, 26, 26, 26, 26, 26, 26, 26, 26, 26, 26, 26, 26, 27, 27, 27, 27, 27, 27, 27, 27, 27, 27, 27, 27, 27, 27, 27, 27, 27, 27, 27, 27, 27, 27, 27, 27, 27, 27, 27, 27, 27, 27, 27, 28};

struct node {
  uint32_t count;
  uint16_t symbol;
};

static int by_count(const void *a, const void *b) {
  const struct node *left = a, *right = b;
  if (left->count != right->count) return left->count < right->count ? -1 : 1;
  // Equal counts in the order of their symbols: qsort alone promises no order, and the bytes must not depend on libc.
  return left->symbol < right->symbol ? -1 : left->symbol > right->symbol;
}

// Lengths of a Huffman code over sorted counts, by the two queues of leaves and of trees; longer than allowed at times.
static void tree_depths(const struct node *leaves, size_t count, uint8_t *depths) {
  uint32_t weights[LITERAL_SYMBOLS];
  uint16_t leaf_parents[LITERAL_SYMBOLS], parents[LITERAL_SYMBOLS];
  uint16_t tree_depth[LITERAL_SYMBOLS];
  size_t leaf = 0, tree = 0, trees = count - 1;
  for (size_t made = 0; made < trees; made++) {
    weights[made] = 0;
    for (int child = 0; child < 2; child++) {
      if (leaf < count && (tree >= made || leaves[leaf].count <= weights[tree])) {
        weights[made] += leaves[leaf].count;
        leaf_parents[leaf++] = (uint16_t)made;
      } else {
        weights[made] += weights[tree];
        parents[tree++] = (uint16_t)made;
      }
    }
  }
  tree_depth[trees - 1] = 0;
  for (size_t i = trees - 1; i-- > 0;) tree_depth[i] = (uint16_t)(tree_depth[parents[i]] + 1);
  for (size_t i = 0; i < count; i++) {
    unsigned depth = tree_depth[leaf_parents[i]] + 1u;
    depths[i] = depth > 255 ? 255 : (uint8_t)depth;
  }
}

// Sets the lengths of a code for symbols that occur; no code is longer than `limit`.
static void make_lengths(struct code *code, const uint32_t *counts, size_t symbols, unsigned limit) {
  struct node leaves[LITERAL_SYMBOLS];
  uint8_t depths[LITERAL_SYMBOLS];
  size_t count = 0;
  memset(code->lengths, 0, sizeof code->lengths);
  for (size_t symbol = 0; symbol < symbols; symbol++) {
    if (counts[symbol] > 0) leaves[count++] = (struct node){counts[symbol], (uint16_t)symbol};
  }
  // A code of fewer than two symbols is no complete one, and some readers refuse it.
  for (size_t symbol = 0; count < 2; symbol++) {
    if (counts[symbol] == 0) leaves[count++] = (struct node){1, (uint16_t)symbol};
  }
  qsort(leaves, count, sizeof leaves[0], by_count);
  tree_depths(leaves, count, depths);
  unsigned of_length[MAX_CODE_BITS + 1] = {0};
  for (size_t i = 0; i < count; i++) of_length[depths[i] < limit ? depths[i] : limit]++;
  // Cutting long codes leaves too many of them: a shorter one is split until the sum of 2^-length is 1 again.
  int64_t excess = -((int64_t)1 << limit);
  for (unsigned length = 1; length <= limit; length++) excess += (int64_t)of_length[length] << (limit - length);
  for (; excess > 0; excess--) {
    unsigned length = limit - 1;
    while (of_length[length] == 0) length--;
    of_length[length]--;
    of_length[length + 1] += 2;
    of_length[limit]--;
  }
  // The rarest get the longest.
  size_t next = 0;
  for (unsigned length = limit; length > 0; length--) {
    for (unsigned i = 0; i < of_length[length]; i++) code->lengths[leaves[next++].symbol] = (uint8_t)length;
  }
}

// RFC 1951, 3.2.2; the bits turned round, since codes are written with their highest bit first.
static void make_bits(struct code *code, size_t symbols) {
  unsigned of_length[MAX_CODE_BITS + 1] = {0}, next[MAX_CODE_BITS + 1] = {0};
  for (size_t symbol = 0; symbol < symbols; symbol++) of_length[code->lengths[symbol]]++;
  of_length[0] = 0;
  for (unsigned length = 1; length <= MAX_CODE_BITS; length++) next[length] = (next[length - 1] + of_length[length - 1]) << 1;
  for (size_t symbol = 0; symbol < symbols; symbol++) {
    unsigned length = code->lengths[symbol];
    unsigned bits = length == 0 ? 0 : next[length]++, turned = 0;
    for (unsigned i = 0; i < length; i++) turned |= ((bits >> i) & 1) << (length - 1 - i);
    code->bits[symbol] = (uint16_t)turned;
  }
}

static unsigned used(const struct code *code, unsigned symbols, unsigned least) {
  while (symbols > least && code->lengths[symbols - 1] == 0) symbols--;
  return symbols;
}

static const uint8_t header_extra_bits[HEADER_SYMBOLS] = {[16] = 2, [17] = 3, [18] = 7};
static const uint8_t header_order[HEADER_SYMBOLS] = {16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15};

static void add_header(struct codes *codes, uint32_t *counts, unsigned symbol, unsigned extra) {
  codes->header[codes->header_count++] = (uint16_t)(symbol | extra << 8);
  counts[symbol]++;
}

// The lengths of both codes in a row, runs of equal ones shortened (RFC 1951, 3.2.7).
static void make_header(struct codes *codes) {
  uint8_t lengths[LITERAL_SYMBOLS + DISTANCE_SYMBOLS];
  uint32_t counts[HEADER_SYMBOLS] = {0};
  codes->literal_count = used(&codes->literals, LITERAL_SYMBOLS, 257);
  codes->distance_count = used(&codes->distances, DISTANCE_SYMBOLS, 1);
  memcpy(lengths, codes->literals.lengths, codes->literal_count);
  memcpy(lengths + codes->literal_count, codes->distances.lengths, codes->distance_count);
  size_t total = codes->literal_count + codes->distance_count;
  codes->header_count = 0;
  for (size_t i = 0; i < total;) {
    size_t run = 1;
    while (i + run < total && lengths[i + run] == lengths[i]) run++;
    size_t left = run;
    if (lengths[i] == 0) {
      for (; left >= 11; left -= left < 138 ? left : 138) add_header(codes, counts, 18, (unsigned)(left < 138 ? left : 138) - 11);
      if (left >= 3) {
        add_header(codes, counts, 17, (unsigned)left - 3);
        left = 0;
      }
    } else {
      add_header(codes, counts, lengths[i], 0);
      left--;
      for (; left >= 3; left -= left < 6 ? left : 6) add_header(codes, counts, 16, (unsigned)(left < 6 ? left : 6) - 3);
    }
    for (; left > 0; left--) add_header(codes, counts, lengths[i], 0);
    i += run;
  }
  make_lengths(&codes->header_code, counts, HEADER_SYMBOLS, HEADER_CODE_BITS);
  make_bits(&codes->header_code, HEADER_SYMBOLS);
  codes->header_code_count = HEADER_SYMBOLS;
  while (codes->header_code_count > 4 && codes->header_code.lengths[header_order[codes->header_code_count - 1]] == 0) codes->header_code_count--;
  codes->header_bits = 14 + 3 * codes->header_code_count;
  for (unsigned symbol = 0; symbol < HEADER_SYMBOLS; symbol++) codes->header_bits += (uint64_t)counts[symbol] * (codes->header_code.lengths[symbol] + header_extra_bits[symbol]);
}

void make_codes(struct codes *codes, const uint32_t *literal_counts, const uint32_t *distance_counts) {
  make_lengths(&codes->literals, literal_counts, LITERAL_SYMBOLS, MAX_CODE_BITS);
  make_bits(&codes->literals, LITERAL_SYMBOLS);
  make_lengths(&codes->distances, distance_counts, DISTANCE_SYMBOLS, MAX_CODE_BITS);
  make_bits(&codes->distances, DISTANCE_SYMBOLS);
  make_header(codes);
}

static struct codes fixed;
static pthread_once_t fixed_once = PTHREAD_ONCE_INIT;

static void make_fixed(void) {
  for (unsigned symbol = 0; symbol < 288; symbol++) fixed.literals.lengths[symbol] = symbol < 144 ? 8 : symbol < 256 ? 9 : symbol < 280 ? 7 : 8;
  for (unsigned symbol = 0; symbol < DISTANCE_SYMBOLS; symbol++) fixed.distances.lengths[symbol] = 5;
  make_bits(&fixed.literals, 288);
  make_bits(&fixed.distances, DISTANCE_SYMBOLS);
}

const struct codes *fixed_codes(void) {
  pthread_once(&fixed_once, make_fixed);
  return &fixed;
}

uint64_t cost_of(const struct codes *codes, const uint32_t *literal_counts, const uint32_t *distance_counts) {
  uint64_t bits = 3;
  for (unsigned symbol = 0; symbol < LITERAL_SYMBOLS; symbol++) bits += (uint64_t)literal_counts[symbol] * (codes->literals.lengths[symbol] + (symbol > END_OF_BLOCK ? length_extra_bits[symbol - 257] : 0u));
  for (unsigned symbol = 0; symbol < DISTANCE_SYMBOLS; symbol++) bits += (uint64_t)distance_counts[symbol] * (codes->distances.lengths[symbol] + distance_extra_bits[symbol]);
  return bits;
}

void align_to_byte(struct bit_writer *writer) {
  writer->count = (writer->count + 7) & ~7u;
  flush_bits(writer);
}

void write_bytes(struct bit_writer *writer, const uint8_t *bytes, size_t length) {
  // An empty block has no bytes, and perhaps no address.
  if (length > 0) memcpy(writer->next, bytes, length);
  writer->next += length;
}

void write_code_lengths(struct bit_writer *writer, const struct codes *codes) {
  write_bits(writer, codes->literal_count - 257, 5);
  write_bits(writer, codes->distance_count - 1, 5);
  write_bits(writer, codes->header_code_count - 4, 4);
  for (unsigned i = 0; i < codes->header_code_count; i++) write_bits(writer, codes->header_code.lengths[header_order[i]], 3);
  for (size_t i = 0; i < codes->header_count; i++) {
    unsigned symbol = codes->header[i] & 0xff;
    write_bits(writer, codes->header_code.bits[symbol], codes->header_code.lengths[symbol]);
    write_bits(writer, codes->header[i] >> 8, header_extra_bits[symbol]);
  }
}
