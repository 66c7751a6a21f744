import { createZstdDecompress, type ZstdOptions } from 'node:zlib'

const OPTIONS: ZstdOptions = { chunkSize: 1 << 18 }

/**
 * Decompresses zstd of any number of frames, skippable ones included (RFC 8878, 3): node:zlib ends at the first frame
 * that is followed by another in the same chunk. Layers of podman and of `zstd:chunked` have several.
 */
export async function* inflateZstd(
  source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): AsyncGenerator<Buffer, void, undefined> {
  const input = inputOf(source)
  try {
    while (input.rest !== undefined || (await input.fill())) yield* inflateFrames(input)
  } finally {
    await input.close()
  }
}

interface Input {
  /** What came and was not taken. */
  rest: Uint8Array | undefined
  /** Fetches the next chunk into `rest`; false at the end. */
  fill(): Promise<boolean>
  close(): Promise<void>
}

function inputOf(source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Input {
  const iterator = Symbol.asyncIterator in source ? source[Symbol.asyncIterator]() : source[Symbol.iterator]()
  const input: Input = {
    rest: undefined,
    async fill() {
      for (;;) {
        const next = await iterator.next()
        if (next.done === true) return false
        if (next.value.length === 0) continue
        input.rest = next.value
        return true
      }
    },
    close: async () => void (await iterator.return?.()),
  }
  return input
}

/** One decompressor's life: until the input ends, or until it stops in the middle of a chunk. */
async function* inflateFrames(input: Input): AsyncGenerator<Buffer, void, undefined> {
  const stream = createZstdDecompress(OPTIONS)
  const fed = feed(stream, input)
  // Awaited below; a failure before that must not count as unhandled.
  fed.catch(() => undefined)
  try {
    for await (const piece of stream) yield piece as Buffer
    await fed
  } finally {
    stream.destroy()
  }
}

async function feed(stream: ReturnType<typeof createZstdDecompress>, input: Input): Promise<void> {
  try {
    while (input.rest !== undefined || (await input.fill())) {
      const chunk = input.rest!
      const before = stream.bytesWritten
      await write(stream, chunk)
      const taken = stream.bytesWritten - before
      input.rest = taken < chunk.length ? chunk.subarray(taken) : undefined
      // It takes nothing more once a frame ended and something followed.
      if (input.rest !== undefined) return
    }
    stream.end()
  } catch (error) {
    stream.destroy(error as Error)
    throw error
  }
}

/** Resolves when the chunk was worked on, as far as the stream took it. */
function write(stream: ReturnType<typeof createZstdDecompress>, chunk: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (error?: Error | null): void => {
      stream.removeListener('close', settle).removeListener('error', settle)
      if (error === null || error === undefined) resolve()
      else reject(error)
    }
    stream.once('close', settle).once('error', settle)
    stream.write(chunk, settle)
  })
}
