import { BuilderError, isTsOciError } from '../base/errors.ts'
import { freeBytes } from '../base/free-bytes.ts'
import { decompress, detectCompression, MAGIC_BYTES, type ArchiveCompression } from './decompress.ts'
import { createPieceQueue } from './piece-queue.ts'

/** Takes a blob piece by piece, compressed or not, and hands its plain bytes on. */
export interface Inflater {
  /** What it returns is to be awaited before the next piece. The piece may be used again afterwards. */
  write(piece: Uint8Array): void | Promise<void>
  /** Resolves when all plain bytes were handed on. @throws OCI_LAYER_INVALID, OCI_COMPRESSION_UNSUPPORTED */
  finish(): void | Promise<void>
  /** Ends what it has at work, for who does not finish: nothing is handed on any more, and no program stays. Never fails. */
  stop(): void | Promise<void>
}

/** What it returns is awaited before it is called again; then the piece is gone. */
type OnPlain = (piece: Buffer) => void | Promise<void>

/**
 * The compression is told from the first bytes, as every reader of layers does (media types are often wrong), however
 * small the pieces are in which they come.
 */
export function createInflater(onPlain: OnPlain): Inflater {
  let start: Buffer | undefined = Buffer.alloc(0)
  let inner: Inflater | undefined

  function begin(first: Buffer): void | Promise<void> {
    start = undefined
    inner = innerInflater(first, onPlain)
    return first.length === 0 ? undefined : inner.write(first)
  }

  return {
    write(piece) {
      if (inner !== undefined) return inner.write(piece)
      start = Buffer.concat([start!, piece])
      return start.length < MAGIC_BYTES ? undefined : begin(start)
    },
    async finish() {
      if (inner === undefined) await begin(start!)
      await inner!.finish()
    },
    stop: () => inner?.stop(),
  }
}

function innerInflater(first: Buffer, onPlain: OnPlain): Inflater {
  const compression = detectCompression(first)
  if (compression !== 'none') return decompressing(compression, onPlain)
  return {
    write: (piece) => onPlain(Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength)),
    finish: () => undefined,
    stop: () => undefined,
  }
}

/** Gzip that is followed by something else ends before its input does: what follows is ignored, as Docker does. */
function decompressing(compression: ArchiveCompression, onPlain: OnPlain): Inflater {
  const queue = createPieceQueue()
  let failure: unknown
  let isStopped = false
  const over = handOn(decompress(queue.pieces(), compression), onPlain, () => isStopped)
    .catch((error: unknown) => void (failure = error))
    .finally(queue.close)
  const check = (): void => {
    if (failure !== undefined) throw failure
  }
  return {
    write(piece) {
      check()
      return queue.write(piece)?.then(check)
    },
    async finish() {
      queue.end()
      await over
      check()
    },
    async stop() {
      isStopped = true
      queue.close()
      await over
    },
  }
}

async function handOn(pieces: AsyncIterable<Buffer>, onPlain: OnPlain, isStopped: () => boolean): Promise<void> {
  let isReading = false
  try {
    for await (const piece of pieces) {
      if (isStopped()) return
      isReading = true
      const wait = onPlain(piece)
      if (wait !== undefined) await wait
      isReading = false
      freeBytes(piece)
    }
  } catch (error) {
    throw isReading ? error : undecipherable(error as Error)
  }
}

function undecipherable(cause: Error): Error {
  if (isTsOciError(cause) && cause.code !== 'OCI_ARCHIVE_INVALID') return cause
  return new BuilderError('OCI_LAYER_INVALID', `a layer's blob cannot be decompressed: ${cause.message}`, { cause })
}
