import { BuilderError } from '../../base/errors.ts'
import { isDigest, type Digest } from '../../oci/digest.ts'
import { MAX_CONFIG_BYTES } from '../../oci/image-config.ts'
import { parseIndex } from '../../oci/image-index.ts'
import { MAX_MANIFEST_BYTES, parseDocument } from '../../oci/manifest.ts'
import { isIndexType, isManifestType, MediaType } from '../../oci/media-types.ts'
import { canonicalName } from '../../oci/reference.ts'
import type { Descriptor } from '../../oci/types.ts'
import { mismatch } from '../../store/blobs.ts'
import { digestOf } from '../../oci/digest.ts'
import type { SourceImage } from '../types.ts'
import { archivedBlob, blobName, readDocument, readWhole } from './blobs.ts'
import type { FileSet } from './file-set.ts'

/** Name of the whole image, and the name within a layout. */
const IMAGE_NAME = 'io.containerd.image.name'
const REF_NAME = 'org.opencontainers.image.ref.name'

/** An image of a layout, and what its entries call it. */
export interface LayoutImage extends SourceImage {
  /** Annotations of its entries that are names of any kind. */
  readonly words: readonly string[]
}

/** True for the files of an OCI image layout. */
export function isLayout(files: FileSet): boolean {
  return files.find('oci-layout') !== undefined && files.find('index.json') !== undefined
}

/** The images of a layout, in the order of its index; one that stands in it under several names comes once. */
export async function layoutImages(files: FileSet): Promise<readonly LayoutImage[]> {
  await checkVersion(files)
  const raw = await readDocument(files, 'index.json', MAX_MANIFEST_BYTES)
  const { index } = parseIndex(raw, MediaType.ociIndex)
  const entries = new Map<Digest, Descriptor[]>()
  for (const entry of index.manifests) {
    if (!isIndexType(entry.mediaType) && !isManifestType(entry.mediaType)) continue
    entries.set(entry.digest, [...(entries.get(entry.digest) ?? []), entry])
  }
  return Promise.all([...entries.values()].map((same) => layoutImage(files, same)))
}

/** image-spec, image-layout.md: a later major version may mean anything. */
async function checkVersion(files: FileSet): Promise<void> {
  const { imageLayoutVersion } = parseDocument(await readDocument(files, 'oci-layout', 4096))
  if (typeof imageLayoutVersion === 'string' && /^1\.\d+\.\d+$/.test(imageLayoutVersion)) return
  throw new BuilderError(
    'OCI_ARCHIVE_INVALID',
    `${files.name} is an image layout of version ${JSON.stringify(imageLayoutVersion ?? null)}; 1.0.0 is known`,
  )
}

async function layoutImage(files: FileSet, entries: readonly Descriptor[]): Promise<LayoutImage> {
  const [{ mediaType, digest, size }] = entries as [Descriptor]
  const bytes = await readBlob(files, { mediaType, digest, size }, MAX_MANIFEST_BYTES)
  if (bytes === undefined)
    throw new BuilderError('OCI_ARCHIVE_INVALID', `${files.name} has no ${blobName(digest)}, which its index names`, {
      hint: 'it is cut off or damaged: write or fetch it again',
    })
  const words = entries.flatMap(({ annotations }) =>
    [annotations?.[IMAGE_NAME], annotations?.[REF_NAME]].filter((word) => word !== undefined),
  )
  return {
    root: { bytes, descriptor: { mediaType, digest, size } },
    names: [...new Set(entries.flatMap(nameOf))],
    words,
    isMade: false,
    read: (descriptor) => readBlob(files, descriptor, Math.max(MAX_MANIFEST_BYTES, MAX_CONFIG_BYTES)),
    blob(descriptor) {
      const file = files.find(blobName(descriptor.digest))
      return file === undefined ? undefined : archivedBlob(file, descriptor)
    },
  }
}

/** Verified; undefined where the layout lacks it. @throws OCI_DIGEST_MISMATCH */
async function readBlob(files: FileSet, expected: Descriptor, maxBytes: number): Promise<Uint8Array | undefined> {
  const file = files.find(blobName(expected.digest))
  if (file === undefined) return undefined
  const bytes = await readWhole(file, `${blobName(expected.digest)} of ${files.name}`, maxBytes)
  const digest = digestOf(bytes)
  if (digest !== expected.digest || bytes.length !== expected.size)
    throw mismatch(expected, { digest, sizeBytes: bytes.length })
  return bytes
}

/**
 * containerd's annotation has the whole name. What the specification calls the name is often a tag alone: then nobody knows
 * of what.
 */
function nameOf({ annotations }: Descriptor): readonly string[] {
  const name = annotations?.[IMAGE_NAME] ?? annotations?.[REF_NAME]
  if (name === undefined) return []
  if (annotations?.[IMAGE_NAME] === undefined && !/[/:]/.test(name)) return []
  try {
    const canonical = canonicalName(name)
    return isDigest(name) || canonical.includes('@') ? [] : [canonical]
  } catch {
    return []
  }
}
