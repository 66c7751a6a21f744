import { parseIndex } from './image-index.ts'
import { isIndexType, isManifestType } from './media-types.ts'
import type { Digest } from './digest.ts'
import type { Descriptor } from './types.ts'

const MAX_DEPTH = 4
const MAX_ENTRIES = 10_000

/**
 * The manifests that an index names, those of indexes within it too, in their order and each once; what `read` does not
 * have is named and not looked into.
 */
export function indexEntries(
  bytes: Uint8Array,
  read: (descriptor: Descriptor) => Uint8Array | undefined,
): readonly Descriptor[] {
  const entries = new Map<Digest, Descriptor>()
  const visit = (index: Uint8Array, depth: number): void => {
    for (const entry of parseIndex(index).index.manifests) {
      if (entries.has(entry.digest) || entries.size >= MAX_ENTRIES) continue
      entries.set(entry.digest, entry)
      const inner = isIndexType(entry.mediaType) && depth < MAX_DEPTH ? read(entry) : undefined
      if (inner !== undefined) visit(inner, depth + 1)
    }
  }
  visit(bytes, 1)
  return [...entries.values()].filter(({ mediaType }) => isManifestType(mediaType))
}

/** True for what stands beside the images of an index: attestations and their like, which run nowhere. */
export function isBesideImages({ platform, annotations }: Descriptor): boolean {
  return platform?.os === 'unknown' || annotations?.['vnd.docker.reference.type'] !== undefined
}
