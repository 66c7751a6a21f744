import { setImmediate } from 'node:timers/promises'
import { contentChunks } from '../disk/file-bytes.ts'
import type { FileDigester } from '../view/content-digest.ts'
import type { ViewEntry } from '../view/types.ts'
import { createDigester, type Digest } from '../oci/digest.ts'

// As in hash-files.ts: the event loop gets its turn between slices.
const SLICE_MS = 25

/** Hashes the bytes of entries wherever they lie, each entry once. */
export function createContentHasher(signal: AbortSignal | undefined): FileDigester {
  const known = new Map<ViewEntry, Digest>()
  return async (files) => {
    let sliceEnd = performance.now() + SLICE_MS
    for (const file of files) {
      if (known.has(file)) continue
      const digester = createDigester()
      for (const chunk of contentChunks(file, { isReused: true })) {
        digester.update(chunk)
        if (performance.now() < sliceEnd) continue
        await setImmediate()
        signal?.throwIfAborted()
        sliceEnd = performance.now() + SLICE_MS
      }
      known.set(file, digester.digest())
    }
    return files.map((file) => known.get(file)!)
  }
}
