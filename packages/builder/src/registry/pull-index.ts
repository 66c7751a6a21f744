import type { BlobStore } from '../store/types.ts'
import { looksLikeIndex, parseIndex } from '../oci/image-index.ts'
import { isBesideImages } from '../oci/index-entries.ts'
import { parseManifest } from '../oci/manifest.ts'
import { isConfigType, isForeignLayer, isIndexType, isManifestType } from '../oci/media-types.ts'
import type { ImageReference } from '../oci/reference.ts'
import type { Descriptor } from '../oci/types.ts'
import { BuilderError } from '../base/errors.ts'
import { type RegistryClient, tagOrDigestOf } from './client.ts'
import { checkSize, pullLayer, pullManifest, type PulledImage, type PullManifestOptions } from './pull.ts'

/** Indexes lie in each other no deeper. */
const MAX_DEPTH = 4
/** Manifests of one name, at most: a stranger wrote the index. */
const MAX_MANIFESTS = 1000

/**
 * Fetches manifest and config of every image that a name leads to, and whatever else its index names, whole.
 * @throws OCI_REGISTRY_…, OCI_MANIFEST_INVALID, OCI_CONFIG_INVALID, OCI_DIGEST_MISMATCH
 */
export async function pullAllManifests(
  client: RegistryClient,
  reference: ImageReference,
  options: Omit<PullManifestOptions, 'platform'>,
): Promise<readonly PulledImage[]> {
  const { blobs, signal } = options
  const repository = client.repository(reference)
  const top = await client.fetchManifest(repository, tagOrDigestOf(reference), signal)
  blobs.put(top.bytes)
  const images: PulledImage[] = []
  const seen = new Set<string>()
  const platform = { os: '', architecture: '' }
  const addImage = async (digest: PulledImage['digest']): Promise<void> => {
    const image = await pullManifest(client, { ...reference, digest }, { blobs, platform, signal })
    images.push({ ...image, digest: top.digest })
  }
  const visit = async (bytes: Uint8Array, depth: number): Promise<void> => {
    for (const entry of parseIndex(bytes).index.manifests) {
      if (seen.has(entry.digest)) continue
      seen.add(entry.digest)
      if (seen.size > MAX_MANIFESTS || depth > MAX_DEPTH)
        throw new BuilderError(
          'OCI_MANIFEST_INVALID',
          `the index ${top.digest} names too much, or is nested too deeply`,
        )
      if (!isIndexType(entry.mediaType) && !isManifestType(entry.mediaType)) {
        await pullLayer(client, entry, [reference], { blobs, signal })
        continue
      }
      const inner = await fetchDocument(client, reference, entry, { blobs, signal })
      if (isIndexType(entry.mediaType)) await visit(inner, depth + 1)
      else if (isImage(entry, inner)) await addImage(entry.digest)
      else await pullContent(client, reference, inner, { blobs, signal })
    }
  }
  if (looksLikeIndex(top.bytes, top.contentType)) await visit(top.bytes, 1)
  else await addImage(top.digest)
  return images
}

interface Sink {
  readonly blobs: BlobStore
  readonly signal: AbortSignal | undefined
}

function isImage(entry: Descriptor, bytes: Uint8Array): boolean {
  return !isBesideImages(entry) && isConfigType(parseManifest(bytes, entry.mediaType).manifest.config.mediaType)
}

async function fetchDocument(
  client: RegistryClient,
  reference: ImageReference,
  descriptor: Descriptor,
  { blobs, signal }: Sink,
): Promise<Uint8Array> {
  const { digest } = descriptor
  if (blobs.has(digest)) return checkSize(descriptor, blobs.read(digest))
  const { bytes } = await client.fetchManifest(client.repository(reference), digest, signal)
  blobs.put(checkSize(descriptor, bytes))
  return bytes
}

/** Of what is no image (an attestation) everything is fetched: nothing else asks for it later. */
async function pullContent(
  client: RegistryClient,
  reference: ImageReference,
  bytes: Uint8Array,
  sink: Sink,
): Promise<void> {
  const { config, layers } = parseManifest(bytes).manifest
  for (const blob of [config, ...layers])
    if (!isForeignLayer(blob.mediaType)) await pullLayer(client, blob, [reference], sink)
}
