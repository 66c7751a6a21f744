import { closeSync, openSync, readSync, writeSync } from 'node:fs'
import type { Store } from '../store/types.ts'
import type { LayerEntry } from '../view/types.ts'
import type { DiffID, Digest } from '../oci/digest.ts'
import { createTableSink, type TableSink } from './table-sink.ts'

/** Reads a blob of the store piece by piece. */
async function feed(
  path: string,
  write: (chunk: Uint8Array) => void | Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  const fd = openSync(path, 'r')
  try {
    const buffer = Buffer.allocUnsafe(1 << 18)
    for (;;) {
      signal.throwIfAborted()
      const count = readSync(fd, buffer, 0, buffer.length, null)
      if (count === 0) return
      const wait = write(buffer.subarray(0, count))
      if (wait) await wait
    }
  } finally {
    closeSync(fd)
  }
}

/** The table of a blob that is in the store; the plain tar is not written. `sink`: what else is made of it. */
export async function scanBlob(options: {
  readonly blobPath: string
  readonly expectedDiffId: DiffID | undefined
  readonly sink: TableSink
  readonly signal: AbortSignal
}): Promise<readonly LayerEntry[]> {
  const { sink } = options
  try {
    await feed(options.blobPath, (chunk) => sink.write(chunk), options.signal)
    return await sink.finish(options.expectedDiffId)
  } catch (error) {
    await sink.stop()
    throw error
  }
}

/** A compressed blob to a plain tar in the store and its table; verified against the diffID. */
export async function inflateLayer(options: {
  readonly store: Store
  readonly blobPath: string
  readonly expectedDiffId: DiffID | undefined
  readonly signal: AbortSignal
}): Promise<{ readonly diffId: DiffID; readonly sizeBytes: number; readonly entries: readonly LayerEntry[] }> {
  await using temporary = await options.store.createTemporaryDirectory('inflate')
  const path = `${temporary.path}/layer.tar`
  const fd = openSync(path, 'wx')
  let entries: readonly LayerEntry[]
  let result: { diffId: DiffID; sizeBytes: number }
  try {
    const sink = createTableSink((chunk) => {
      for (let written = 0; written < chunk.length;) written += writeSync(fd, chunk, written)
    })
    entries = await scanBlob({ ...options, sink })
    result = sink.result()
  } finally {
    closeSync(fd)
  }
  options.store.blobs.adopt(path, result.diffId as string as Digest)
  return { ...result, entries }
}
