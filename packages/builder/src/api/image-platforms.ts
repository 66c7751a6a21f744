import type { ImagePlatform } from '../build/public-types.ts'
import type { Digest } from '../oci/digest.ts'
import { parseImageConfig } from '../oci/image-config.ts'
import { indexEntries, isBesideImages } from '../oci/index-entries.ts'
import { formatPlatform, normalizePlatform } from '../oci/platform.ts'
import type { Descriptor, Platform } from '../oci/types.ts'
import { imageId, isIndexRecord } from '../store/image-id.ts'
import type { ImageRecord, Store, StoredImage } from '../store/types.ts'

/** The images that a name leads to: those that are here, and those that its index names besides. */
export function platformsOf(store: Store, record: ImageRecord): readonly ImagePlatform[] {
  if (!isIndexRecord(record)) return [{ ...here(store, record.images[0]), digest: imageId(record) }]
  const stored = new Map(record.images.map((image) => [image.manifestDigest, image] as const))
  return entriesOf(store, record).map((entry) => {
    const image = stored.get(entry.digest)
    return image === undefined ? elsewhere(entry) : here(store, image, entry.platform)
  })
}

/** What an index of the store names that is an image, in its order. */
export function entriesOf({ blobs }: Store, { digest }: ImageRecord): readonly Descriptor[] {
  const read = (entry: Descriptor): Uint8Array | undefined =>
    blobs.has(entry.digest) ? blobs.read(entry.digest) : undefined
  return indexEntries(blobs.read(digest), read).filter((entry) => !isBesideImages(entry))
}

function elsewhere({ digest, platform }: Descriptor): ImagePlatform {
  return { platform: nameOf(platform), digest, isHere: false, contents: [], treeBytes: 0 }
}

function here(store: Store, image: StoredImage, platform?: Platform): ImagePlatform {
  const layers = image.layerIds.map((id) => ({ id, row: store.layers.get(id) }))
  const blobs = layers.flatMap(({ row }): readonly Digest[] => [
    ...(row?.blobs ?? []).map(({ descriptor }) => descriptor.digest),
    ...(row?.hasTar === true && row.diffId !== undefined ? [row.diffId as string as Digest] : []),
  ])
  const digests = [image.manifestDigest, image.configDigest, ...blobs]
  const trees = layers.filter(({ row }) => (row?.trees ?? []).length > 0)
  return {
    platform: nameOf(platform ?? parseImageConfig(store.blobs.read(image.configDigest))),
    digest: image.manifestDigest,
    isHere: true,
    contents: [...new Set(digests)].map((digest) => ({ digest, sizeBytes: store.blobs.size(digest) ?? 0 })),
    treeBytes: trees.reduce((sum, { id }) => sum + (store.layers.contentSizeBytes(id) ?? 0), 0),
  }
}

function nameOf(platform: Platform | undefined): string {
  return platform === undefined || platform.os === '' ? 'unknown' : formatPlatform(normalizePlatform(platform))
}
