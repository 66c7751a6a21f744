import { once } from 'node:events'
import type { Duplex } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { BuilderError } from '../errors.ts'
import { createLayerScanner } from '../layer/scan.ts'
import type { LayerEntry } from '../layer/types.ts'
import { createZstdInflater } from '../layer/zstd-frames.ts'
import { createDigester, type DiffID } from '../oci/digest.ts'

/** Takes a layer's blob piece by piece, compressed or not, and makes its table and diffID of it. */
export interface TableSink {
  write(chunk: Uint8Array): void | Promise<void>
  /** @throws OCI_LAYER_INVALID, OCI_DIGEST_MISMATCH */
  finish(expected: DiffID | undefined): Promise<readonly LayerEntry[]>
  readonly result: () => { readonly diffId: DiffID; readonly sizeBytes: number }
}

/** What reads the plain tar inside a sink. */
export interface PlainReader {
  push(chunk: Uint8Array): void
  finish(): { readonly diffId: DiffID; readonly sizeBytes: number; readonly entries: readonly LayerEntry[] }
}

/** @param onPlain sees the uncompressed bytes in order. */
export function createTableSink(onPlain?: (chunk: Uint8Array) => void): TableSink {
  const scanner = createLayerScanner()
  const digester = createDigester()
  let sizeBytes = 0
  return createInflatingSink({
    push: (chunk) => {
      digester.update(chunk)
      sizeBytes += chunk.length
      scanner.push(chunk)
      onPlain?.(chunk)
    },
    finish: () => ({ diffId: digester.digest() as string as DiffID, sizeBytes, entries: scanner.finish().entries }),
  })
}

/** Hands a blob's plain bytes to a reader, inflated while they come. */
export function createInflatingSink(reader: PlainReader): TableSink {
  let result: { readonly diffId: DiffID; readonly sizeBytes: number } | undefined
  let failure: unknown
  const take = (piece: Buffer): void => {
    if (failure !== undefined) return
    try {
      reader.push(piece)
    } catch (error) {
      failure = error
    }
  }
  let inflater: Duplex | undefined
  let isFirst = true
  const start = (chunk: Uint8Array): void => {
    isFirst = false
    inflater = createInflater(chunk)
    // A microtask later zlib's thread is at the next piece already: both work at once (48 MB of gzip: 550 ms before, 470 so).
    inflater?.on('data', (piece: Buffer) => queueMicrotask(() => take(piece)))
    inflater?.on(
      'error',
      (error) =>
        (failure ??= new BuilderError('OCI_LAYER_INVALID', `a layer's blob cannot be decompressed: ${error.message}`, {
          cause: error,
        })),
    )
  }
  const drained = async (stream: NonNullable<typeof inflater>): Promise<void> => {
    // Its error was taken down by the listener above, as an error of ours.
    await once(stream, 'drain').catch(() => undefined)
    if (failure !== undefined) throw failure
  }
  return {
    write: (chunk) => {
      if (isFirst) start(chunk)
      if (failure !== undefined) throw failure
      if (inflater === undefined) {
        reader.push(chunk)
        return undefined
      }
      // The producer's buffer may be used again: a stream keeps what it is given.
      return inflater.write(Buffer.from(chunk)) ? undefined : drained(inflater)
    },
    finish: async (expected) => {
      if (inflater !== undefined && failure === undefined) {
        const ended = once(inflater, 'end').catch(() => undefined)
        inflater.end()
        await ended
      }
      if (failure !== undefined) throw failure
      const read = reader.finish()
      const { diffId } = read
      if (expected !== undefined && diffId !== expected) {
        throw new BuilderError(
          'OCI_DIGEST_MISMATCH',
          `a layer's content has diffID ${diffId}, its image says ${expected}`,
          { hint: 'the image is damaged, or its config belongs to another one' },
        )
      }
      result = read
      return read.entries
    },
    result: () => {
      if (result === undefined) throw new Error('finish first')
      return result
    },
  }
}

/** By the first bytes, as every reader of layers does: media types are often wrong. */
function createInflater(first: Uint8Array): Duplex | undefined {
  const options = { chunkSize: 1 << 18, highWaterMark: 1 << 20 }
  if (first[0] === 0x1f && first[1] === 0x8b) return createGunzip(options)
  if (first[0] === 0x28 && first[1] === 0xb5 && first[2] === 0x2f && first[3] === 0xfd) return createZstdInflater()
  return undefined
}
