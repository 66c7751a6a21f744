import { setImmediate } from 'node:timers/promises'
import { contentChunks } from '../disk/file-bytes.ts'
import type { FileDigester } from '../view/content-digest.ts'
import type { HeadedDigester, HeadedFile } from '../view/shared-digest.ts'
import type { ViewEntry } from '../view/types.ts'
import { createDigester, type Digest } from '../oci/digest.ts'

// As in hash-files.ts: the event loop gets its turn between slices.
const SLICE_MS = 25

/** Hashes the bytes of entries wherever they lie, each entry once. */
export function createContentHasher(signal: AbortSignal | undefined): FileDigester {
  const hasher = createHeadedHasher(signal)
  return (files) => hasher(files.map((entry) => ({ entry, head: NO_HEAD })))
}

const NO_HEAD = new Uint8Array(0)

/** The same with something before the bytes of each, which is the entry's own. */
export function createHeadedHasher(signal: AbortSignal | undefined): HeadedDigester {
  const known = new Map<ViewEntry, Digest>()
  return async (files: readonly HeadedFile[]) => {
    let sliceEnd = performance.now() + SLICE_MS
    for (const { entry, head } of files) {
      if (known.has(entry)) continue
      const digester = createDigester()
      digester.update(head)
      for (const chunk of contentChunks(entry, { isReused: true })) {
        digester.update(chunk)
        if (performance.now() < sliceEnd) continue
        await setImmediate()
        signal?.throwIfAborted()
        sliceEnd = performance.now() + SLICE_MS
      }
      known.set(entry, digester.digest())
    }
    return files.map(({ entry }) => known.get(entry)!)
  }
}
