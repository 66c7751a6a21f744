const GATHERED_BYTES = 1 << 19

/**
 * The same bytes in pieces of half a megabyte: of each, all but the last of what comes of it is inflated while the one
 * before is read. For sources that come to an end by themselves: what is there waits for more.
 */
export async function* gathered(source: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  let pieces: Uint8Array[] = []
  let sizeBytes = 0
  for await (const piece of source) {
    pieces.push(piece)
    sizeBytes += piece.length
    if (sizeBytes < GATHERED_BYTES) continue
    yield Buffer.concat(pieces)
    pieces = []
    sizeBytes = 0
  }
  if (sizeBytes > 0) yield Buffer.concat(pieces)
}
