import type { Digest } from '../oci/digest.ts'
import { looksLikeIndex } from '../oci/image-index.ts'
import { indexEntries } from '../oci/index-entries.ts'
import type { ImageRecord, Store, StoredImage } from './types.ts'

/**
 * Names an image or an index. What the store has of an index is the same under each of its names: images that other names
 * brought count for this one, and its own for those. Inside a transaction.
 */
export function putIndexRecord(store: Store, record: ImageRecord): void {
  const { digest } = record
  const bytes = store.blobs.read(digest)
  if (!looksLikeIndex(bytes)) return store.images.put(record)
  const order = indexEntries(bytes, (entry) =>
    store.blobs.has(entry.digest) ? store.blobs.read(entry.digest) : undefined,
  )
  const there = new Map<Digest, StoredImage>()
  for (const image of [...store.images.list().flatMap(({ images }) => images), ...record.images])
    if (image.isComplete) there.set(image.manifestDigest, image)
  const images = order.flatMap((entry) => there.get(entry.digest) ?? [])
  const [first, ...more] = images
  if (first === undefined) throw new Error('an index of which nothing is there')
  store.images.put({ ...record, images: [first, ...more] })
  for (const { name, digest: other, images: known } of store.images.list())
    if (other === digest && known.length !== images.length)
      store.images.update(name, (current) => ({ ...current, images: [first, ...more] }))
}
