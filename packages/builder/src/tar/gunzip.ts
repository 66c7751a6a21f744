import { createInflateRaw, crc32, type InflateRaw } from 'node:zlib'
import { BuilderError } from '../base/errors.ts'
import { createChunkInput, type ChunkInput } from './chunk-input.ts'

const CHUNK_BYTES = 1 << 18

const FLAG_HEADER_CRC = 2
const FLAG_EXTRA = 4
const FLAG_NAME = 8
const FLAG_COMMENT = 16

/**
 * Decompresses gzip of any number of members (RFC 1952). What follows the last one is ignored, zeros or not, as unpigz
 * does, which Docker and containerd read archives with; node:zlib takes what follows for a member that is damaged, and
 * then withholds what came before. Everything up to a damaged place is given out before the error.
 * `chunkBytes`: size of the pieces. Throws OCI_ARCHIVE_INVALID.
 */
export async function* gunzip(
  source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  chunkBytes: number = CHUNK_BYTES,
): AsyncGenerator<Buffer, void, undefined> {
  const input = createChunkInput(source)
  try {
    await readMagic(input, true)
    do yield* inflateMember(input, chunkBytes)
    while (await readMagic(input, false))
  } finally {
    await input.close()
  }
}

/** True when a member begins; nothing, or something else, may follow the first one. */
async function readMagic(input: ChunkInput, isFirst: boolean): Promise<boolean> {
  const start = await input.take(2)
  if (start.length === 2 && start[0] === 0x1f && start[1] === 0x8b) return true
  if (isFirst) throw damaged()
  return false
}

async function* inflateMember(input: ChunkInput, chunkBytes: number): AsyncGenerator<Buffer, void, undefined> {
  await skipHeader(input)
  const stream = createInflateRaw({ chunkSize: chunkBytes, readableHighWaterMark: chunkBytes } as object)
  // Closing it may still tell of one, when nobody reads any more.
  stream.on('error', () => undefined)
  let crc = 0
  let sizeBytes = 0
  try {
    for (;;) {
      const chunk = await input.next()
      if (chunk === undefined) throw damaged()
      const before = stream.bytesWritten
      for await (const piece of inflate(stream, chunk)) {
        crc = crc32(piece, crc)
        sizeBytes += piece.length
        yield piece
      }
      const taken = stream.bytesWritten - before
      if (taken === chunk.length) continue
      // It takes nothing more once its last block ended.
      input.putBack(chunk.subarray(taken))
      break
    }
  } finally {
    stream.destroy()
  }
  const trailer = await input.take(8)
  if (trailer.length < 8 || trailer.readUInt32LE(0) !== crc || trailer.readUInt32LE(4) !== sizeBytes % 2 ** 32)
    throw damaged()
}

/** What comes of one chunk, an error only when all that came before it is read. */
async function* inflate(stream: InflateRaw, chunk: Uint8Array): AsyncGenerator<Buffer, void, undefined> {
  let isDone = false
  let error: Error | undefined
  let wake: (() => void) | undefined
  const settle = (cause?: Error | null): void => {
    if (!isDone && cause !== null && cause !== undefined) error = cause
    isDone = true
    wake?.()
  }
  const onReadable = (): void => wake?.()
  const onEnd = (): void => settle()
  stream.on('readable', onReadable).on('end', onEnd).on('error', settle)
  stream.write(chunk, settle)
  try {
    for (;;) {
      const piece = stream.read() as Buffer | null
      if (piece !== null) yield piece
      else if (isDone) break
      else await new Promise<void>((resolve) => (wake = resolve))
    }
  } finally {
    stream.removeListener('readable', onReadable).removeListener('end', onEnd).removeListener('error', settle)
  }
  if (error !== undefined) throw damaged(error)
}

async function skipHeader(input: ChunkInput): Promise<void> {
  const fixed = await input.take(8)
  if (fixed.length < 8 || fixed[0] !== 8) throw damaged()
  const flags = fixed[1]!
  if ((flags & FLAG_EXTRA) !== 0) {
    const length = await input.take(2)
    if (length.length < 2 || (await input.take(length.readUInt16LE(0))).length < length.readUInt16LE(0)) throw damaged()
  }
  if ((flags & FLAG_NAME) !== 0) await skipText(input)
  if ((flags & FLAG_COMMENT) !== 0) await skipText(input)
  if ((flags & FLAG_HEADER_CRC) !== 0) await input.take(2)
}

async function skipText(input: ChunkInput): Promise<void> {
  for (;;) {
    const byte = await input.take(1)
    if (byte.length === 0) throw damaged()
    if (byte[0] === 0) return
  }
}

function damaged(cause?: Error): BuilderError {
  return new BuilderError('OCI_ARCHIVE_INVALID', 'the gzip data is damaged or cut off', { cause })
}
