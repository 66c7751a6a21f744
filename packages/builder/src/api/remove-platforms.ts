import { BuilderError } from '../base/errors.ts'
import type { RemoveOutcome } from '../build/public-types.ts'
import { parseImageConfig } from '../oci/image-config.ts'
import { isSamePlatform } from '../oci/platform-match.ts'
import { formatPlatform, parsePlatform } from '../oci/platform.ts'
import { isIndexRecord } from '../store/image-id.ts'
import type { ImageRecord, Store, StoredImage } from '../store/types.ts'

/**
 * Takes images of single platforms out of the store, and leaves the name and its index. Inside a transaction.
 * @throws OCI_IMAGE_IN_USE, OCI_IMAGE_NOT_FOUND, OCI_PLATFORM_INVALID
 */
export function removePlatforms(
  store: Store,
  record: ImageRecord,
  platforms: readonly string[],
  isForced: boolean,
): RemoveOutcome {
  if (!isForced)
    throw new BuilderError(
      'OCI_IMAGE_IN_USE',
      'Content will be removed from all images referencing this variant. Use --force to force delete.',
    )
  const going = platforms.map((platform) => imageFor(store, record, platform))
  const kept = record.images.filter((image) => !going.includes(image))
  const [first, ...more] = kept
  if (first === undefined || !isIndexRecord(record))
    throw new BuilderError('OCI_IMAGE_IN_USE', `unable to delete the last image of ${record.name}`, {
      hint: 'tsbuild rmi NAME, without --platform, removes the name with all that it leads to',
    })
  for (const { name, digest } of store.images.list())
    if (digest === record.digest) store.images.update(name, (current) => ({ ...current, images: [first, ...more] }))
  const others = new Set(store.images.list().flatMap(({ images }) => images.map((image) => image.manifestDigest)))
  for (const { manifestDigest } of going)
    // Without it nothing below the index leads to what was removed, and the next prune takes it.
    if (!others.has(manifestDigest)) store.blobs.delete(manifestDigest)
  return { untagged: [], deleted: going.map(({ manifestDigest }) => manifestDigest) }
}

function imageFor(store: Store, { name, images }: ImageRecord, platform: string): StoredImage {
  const wanted = parsePlatform(platform)
  const found = images.find(({ configDigest }) =>
    isSamePlatform(parseImageConfig(store.blobs.read(configDigest)), wanted),
  )
  if (found !== undefined) return found
  throw new BuilderError(
    'OCI_IMAGE_NOT_FOUND',
    `image with reference ${name} was found but does not provide the specified platform (${formatPlatform(wanted)})`,
  )
}
