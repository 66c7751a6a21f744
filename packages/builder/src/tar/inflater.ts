import { Duplex } from 'node:stream'
import { BuilderError, isTsOciError } from '../base/errors.ts'
import { decompress, detectCompression, MAGIC_BYTES } from './decompress.ts'
import { gathered } from './gathered.ts'

/** Takes a blob piece by piece, compressed or not, and hands its plain bytes on. */
export interface Inflater {
  /** What it returns is to be awaited before the next piece. The piece may be used again afterwards. */
  write(piece: Uint8Array): void | Promise<void>
  /** Resolves when all plain bytes were handed on. @throws OCI_LAYER_INVALID, OCI_COMPRESSION_UNSUPPORTED */
  finish(): void | Promise<void>
}

/** What it returns is awaited before it is called again. */
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
  }
}

function innerInflater(first: Buffer, onPlain: OnPlain): Inflater {
  const compression = detectCompression(first)
  if (compression === 'none')
    return {
      write: (piece) => onPlain(Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength)),
      finish: () => undefined,
    }
  return throughStream(
    Duplex.from((source: AsyncIterable<Uint8Array>) => decompress(gathered(source), compression)),
    onPlain,
  )
}

/**
 * Every wait is also for the stream's end: gzip that is followed by something else ends before its input does, and then
 * neither `drain` nor a second `end` comes. What follows is ignored, as Docker does.
 */
function throughStream(stream: Duplex, onPlain: OnPlain): Inflater {
  let failure: unknown
  let isOver = false
  const over = new Promise<void>((resolve) => {
    const settle = (): void => {
      isOver = true
      resolve()
    }
    stream.once('end', settle).once('close', settle)
    stream.on('error', (error) => {
      failure ??= undecipherable(error)
      settle()
    })
  })
  const fail = (error: unknown): void => {
    failure ??= error
    stream.destroy()
  }
  const take = (piece: Buffer): void => {
    if (failure !== undefined) return
    try {
      const wait = onPlain(piece)
      if (wait === undefined) return
      // At most the one piece that is on its way comes meanwhile.
      stream.pause()
      wait.then(() => stream.resume(), fail)
    } catch (error) {
      fail(error)
    }
  }
  // A microtask later zlib's thread is at the next piece already: both work at once.
  stream.on('data', (piece: Buffer) => queueMicrotask(() => take(piece)))
  const check = (): void => {
    if (failure !== undefined) throw failure
  }
  return {
    write(piece) {
      check()
      // The producer's buffer may be used again: a stream keeps what it is given.
      if (isOver || stream.write(Buffer.from(piece))) return undefined
      return Promise.race([new Promise<void>((resolve) => stream.once('drain', resolve)), over]).then(check)
    },
    async finish() {
      if (!isOver) stream.end()
      await over
      check()
    },
  }
}

function undecipherable(cause: Error): Error {
  if (isTsOciError(cause) && cause.code !== 'OCI_ARCHIVE_INVALID') return cause
  return new BuilderError('OCI_LAYER_INVALID', `a layer's blob cannot be decompressed: ${cause.message}`, { cause })
}
