import { Duplex, type TransformOptions } from 'node:stream'
import { createGunzip, type Gunzip, type ZlibOptions } from 'node:zlib'
import { BuilderError, isTsOciError } from '../errors.ts'
import { decompress, detectCompression, MAGIC_BYTES } from './decompress.ts'

/** Takes a blob piece by piece, compressed or not, and hands its plain bytes on. */
export interface Inflater {
  /** What it returns is to be awaited before the next piece. The piece may be used again afterwards. */
  write(piece: Uint8Array): void | Promise<void>
  /** Resolves when all plain bytes were handed on. @throws OCI_LAYER_INVALID, OCI_COMPRESSION_UNSUPPORTED */
  finish(): void | Promise<void>
}

/**
 * The compression is told from the first bytes, as every reader of layers does (media types are often wrong), however
 * small the pieces are in which they come.
 */
export function createInflater(onPlain: (piece: Buffer) => void): Inflater {
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

function innerInflater(first: Buffer, onPlain: (piece: Buffer) => void): Inflater {
  const compression = detectCompression(first)
  if (compression === 'none')
    return {
      write: (piece) => onPlain(Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength)),
      finish: () => undefined,
    }
  // 48 MB of gzip: 470 ms with a stream that is written to, 550 through the generators of the others.
  if (compression === 'gzip') {
    const options: ZlibOptions & TransformOptions = { chunkSize: 1 << 18, highWaterMark: 1 << 20 }
    return throughStream(createGunzip(options), onPlain)
  }
  return throughStream(
    Duplex.from((source: AsyncIterable<Uint8Array>) => decompress(source, compression)),
    onPlain,
  )
}

/**
 * Every wait is also for the stream's end: gzip that is followed by something else ends before its input does, and then
 * neither `drain` nor a second `end` comes. Go's reader, and so Docker, refuses what follows; zlib would only do so where
 * a piece happens to begin with it.
 */
function throughStream(stream: Duplex | Gunzip, onPlain: (piece: Buffer) => void): Inflater {
  let failure: unknown
  let isOver = false
  let givenBytes = 0
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
  const take = (piece: Buffer): void => {
    if (failure !== undefined) return
    try {
      onPlain(piece)
    } catch (error) {
      failure = error
      stream.destroy()
    }
  }
  // A microtask later zlib's thread is at the next piece already: both work at once (48 MB of gzip: 550 ms before, 470 so).
  stream.on('data', (piece: Buffer) => queueMicrotask(() => take(piece)))
  const check = (): void => {
    if (failure !== undefined) throw failure
  }
  return {
    write(piece) {
      check()
      givenBytes += piece.length
      // The producer's buffer may be used again: a stream keeps what it is given.
      if (isOver || stream.write(Buffer.from(piece))) return undefined
      return Promise.race([new Promise<void>((resolve) => stream.once('drain', resolve)), over]).then(check)
    },
    async finish() {
      if (!isOver) stream.end()
      await over
      check()
      if ('bytesWritten' in stream && stream.bytesWritten < givenBytes)
        throw undecipherable(new Error('something follows the compressed data'))
    },
  }
}

function undecipherable(cause: Error): Error {
  if (isTsOciError(cause) && cause.code !== 'OCI_ARCHIVE_INVALID') return cause
  return new BuilderError('OCI_LAYER_INVALID', `a layer's blob cannot be decompressed: ${cause.message}`, { cause })
}
