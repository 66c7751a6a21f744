import { BuilderError } from '../base/errors.ts'
import { createInflater } from '../tar/inflater.ts'
import { createLayerScanner } from '../tar/scan.ts'
import type { LayerEntry } from '../view/types.ts'
import { createDigester, type DiffID } from '../oci/digest.ts'

/** Takes a layer's blob piece by piece, compressed or not, and makes its table and diffID of it. */
export interface TableSink {
  write(chunk: Uint8Array): void | Promise<void>
  /** @throws OCI_LAYER_INVALID, OCI_DIGEST_MISMATCH */
  finish(expected: DiffID | undefined): Promise<readonly LayerEntry[]>
  /** For who does not finish, before what it writes to is closed. Never fails. */
  stop(): void | Promise<void>
  readonly result: () => { readonly diffId: DiffID; readonly sizeBytes: number }
}

/** What reads the plain tar inside a sink. */
export interface PlainReader {
  /** What it returns is awaited before the next one. */
  push(chunk: Uint8Array): void | Promise<void>
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
  const inflater = createInflater((piece) => reader.push(piece))
  return {
    write: (chunk) => inflater.write(chunk),
    stop: () => inflater.stop(),
    finish: async (expected) => {
      await inflater.finish()
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
