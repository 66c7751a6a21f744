import type { Digest } from '../oci/digest.ts'

/** What a name leads to, and the images that are there of it. */
interface NamedImages {
  readonly digest: Digest
  /** One a platform. */
  readonly images: readonly { readonly manifestDigest: Digest; readonly configDigest: Digest }[]
}

/** Whether a name leads to an index: also to one of which a single platform is there. */
export function isIndexRecord({ digest, images }: NamedImages): boolean {
  return images.length !== 1 || images[0]?.manifestDigest !== digest
}

/** The id by which people know what a name leads to: the digest of its config, or of the index over several images. */
export function imageId(named: NamedImages): Digest {
  return isIndexRecord(named) ? named.digest : named.images[0]!.configDigest
}
