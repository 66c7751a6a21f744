import type { Digest } from '../oci/digest.ts'
import type { ImageRecord } from './types.ts'

/** The id by which people know what a name leads to: the digest of its config, or of the index over several images. */
export function imageId({ digest, images }: Pick<ImageRecord, 'digest' | 'images'>): Digest {
  return images.length === 1 ? images[0].configDigest : digest
}
