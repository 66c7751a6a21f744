/** Somebody's chunks, read a few bytes at a time or as they come. */
export interface ChunkInput {
  /** The next chunk, or what is left of one; undefined at the end. Never empty. */
  next(): Promise<Uint8Array | undefined>
  /** So many bytes, fewer at the end. */
  take(length: number): Promise<Buffer>
  /** Gives back the end of the chunk that `next` gave. */
  putBack(rest: Uint8Array): void
  /** Tells the source that nobody reads on. */
  close(): Promise<void>
}

export function createChunkInput(source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): ChunkInput {
  const iterator = Symbol.asyncIterator in source ? source[Symbol.asyncIterator]() : source[Symbol.iterator]()
  let rest: Uint8Array | undefined

  async function next(): Promise<Uint8Array | undefined> {
    const known = rest
    rest = undefined
    if (known !== undefined && known.length > 0) return known
    for (;;) {
      const found = await iterator.next()
      if (found.done === true) return undefined
      if (found.value.length > 0) return found.value
    }
  }

  async function take(length: number): Promise<Buffer> {
    const bytes = Buffer.alloc(length)
    let filled = 0
    while (filled < length) {
      const chunk = await next()
      if (chunk === undefined) break
      const taken = Math.min(chunk.length, length - filled)
      bytes.set(chunk.subarray(0, taken), filled)
      filled += taken
      if (taken < chunk.length) rest = chunk.subarray(taken)
    }
    return bytes.subarray(0, filled)
  }

  return {
    next,
    take,
    putBack: (bytes) => void (rest = bytes),
    close: async () => void (await iterator.return?.()),
  }
}
