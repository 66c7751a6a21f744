import type { Digest } from '../oci/digest.ts'

/** The id by which people know what a name leads to: the digest of its config, or of the index over several images. */
export function imageId({
  digest,
  images,
}: {
  /** Of what the name leads to. */
  readonly digest: Digest
  /** One a platform. */
  readonly images: readonly { readonly configDigest: Digest }[]
}): Digest {
  const [first, ...more] = images
  return first === undefined || more.length > 0 ? digest : first.configDigest
}
