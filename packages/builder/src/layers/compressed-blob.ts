import type { LayerRecord, Store } from '../store/types.ts'
import type { DiffID, Digest } from '../oci/digest.ts'
import { layerMediaType } from '../oci/media-types.ts'
import type { Descriptor } from '../oci/types.ts'
import type { BlobWish, LayerHandle } from './types.ts'

export interface CompressedBlobOptions {
  readonly store: Store
  readonly layer: LayerHandle
  readonly want: BlobWish
  readonly record: () => LayerRecord | undefined
  readonly ensureBlob: () => Promise<{ readonly descriptor: Descriptor }>
  readonly tar: () => Promise<{ readonly diffId: DiffID; readonly sizeBytes: number }>
  readonly put: (forms: Partial<LayerRecord>) => void
  /** Runs work under the lock of a target, unless `find` gives what somebody else made of it. */
  readonly makeOnce: (
    target: string,
    find: () => Descriptor | undefined,
    make: () => Promise<Descriptor>,
  ) => Promise<Descriptor>
  readonly signal: AbortSignal
}

/**
 * A blob of a layer as an exporter wants it. What is there already is taken: a base's blob as it was pulled whatever its
 * compression (unless forced), else what the same compressor made: what other builds asked for changes no byte of this one.
 */
export async function compressedBlob(options: CompressedBlobOptions): Promise<Descriptor> {
  const { store, want } = options
  const { compression, level } = want
  const record = options.record()
  const isPulled =
    record !== undefined &&
    (record.blobs.some((blob) => blob.origin === 'pulled') || (record.remote !== undefined && !record.hasTar))
  if (isPulled && !want.force) return (await options.ensureBlob()).descriptor
  const mediaType = layerMediaType(compression)
  if (compression === 'none') {
    const { diffId, sizeBytes } = await options.tar()
    return { mediaType, digest: diffId as string as Digest, size: sizeBytes }
  }
  const { compressFile, compressorId } = await import('../tar/compression.ts')
  const origin = compressorId(compression, level)
  const find = (): Descriptor | undefined =>
    options
      .record()
      ?.blobs.find(
        (blob) =>
          blob.descriptor.mediaType === mediaType && blob.origin === origin && store.blobs.has(blob.descriptor.digest),
      )?.descriptor
  const early = find()
  if (early) return early
  const { diffId } = await options.tar()
  return options.makeOnce(`compress-${origin}`, find, async () => {
    await using temporary = await store.createTemporaryDirectory('compress')
    const path = `${temporary.path}/blob`
    const compressed = await compressFile({
      source: store.blobs.path(diffId as string as Digest),
      destination: path,
      compression,
      level,
      signal: options.signal,
    })
    store.blobs.adopt(path, compressed.digest)
    const { digest, sizeBytes: size, annotations, diffId: ownDiffId } = compressed
    const descriptor: Descriptor = { mediaType, digest, size, ...(annotations && { annotations }) }
    options.put({ blobs: [{ descriptor, origin, ...(ownDiffId && { diffId: ownDiffId }) }] })
    return descriptor
  })
}
