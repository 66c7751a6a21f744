import type { BlobStore } from '../store/types.ts'
import type { Descriptor } from '../oci/types.ts'

/** Brings a blob from a place that is no registry into the store, verified. False: it was there already. */
export async function pullFromCache(
  blobs: BlobStore,
  chunks: AsyncIterable<Uint8Array>,
  request: {
    readonly descriptor: Descriptor
    readonly onChunk: ((chunk: Uint8Array) => void | Promise<void>) | undefined
    readonly onProgress: (current: number) => void
  },
): Promise<boolean> {
  const { descriptor, onChunk, onProgress } = request
  if (blobs.has(descriptor.digest)) return false
  const writer = blobs.createWriter()
  let current = 0
  try {
    for await (const chunk of chunks) {
      current += chunk.length
      if (current > descriptor.size) break
      await writer.write(chunk)
      await onChunk?.(chunk)
      onProgress(current)
    }
  } catch (error) {
    await writer.abort()
    throw error
  }
  await writer.commit({ digest: descriptor.digest, size: descriptor.size })
  return true
}
