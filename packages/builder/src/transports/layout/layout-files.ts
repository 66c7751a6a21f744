import type { ArchiveFile } from '../../exporters/archive.ts'
import type { ImageBlob } from '../../exporters/compose.ts'
import { IMAGE_NAME, LAYOUT_FILE, REF_NAME } from '../../exporters/layout-index.ts'
import { digestHex, type Digest } from '../../oci/digest.ts'
import { goJson } from '../../oci/go-json.ts'
import { createIndex, serializeIndex } from '../../oci/image-index.ts'
import { closestTo } from '../../oci/platform-match.ts'
import { parseImageConfig } from '../../oci/image-config.ts'
import { hostPlatform } from '../../oci/platform.ts'
import { formatFamiliar, parseReference } from '../../oci/reference.ts'
import type { Descriptor } from '../../oci/types.ts'
import { blobName } from '../archive/blobs.ts'
import type { Bundle, BundleImage, Document, WrittenImage } from '../types.ts'

export interface LayoutFilesOptions {
  /** With the `manifest.json` that `docker load` reads. */
  readonly isDocker: boolean
  /** What a layout calls an image that was given a name of no registry. */
  readonly word?: string | undefined
}

/** The files of a layout over images: what several have is there once. */
export async function layoutFiles(
  bundles: readonly Bundle[],
  options: LayoutFilesOptions,
): Promise<readonly ArchiveFile[]> {
  const blobs = new Map<Digest, ImageBlob>()
  for (const bundle of bundles) {
    for (const document of documentsOf(bundle)) blobs.set(document.descriptor.digest, documentBlob(document))
    for (const blob of bundle.blobs) {
      const { digest, size } = blob.descriptor
      if (blobs.has(digest)) continue
      const file = await blob.file?.()
      blobs.set(digest, { digest, size, open: (signal) => blob.open(signal), ...(file && { file }) })
    }
  }
  const entries = bundles.flatMap((bundle) => layoutEntries(bundle, options.word))
  return [
    ...[...blobs.values()].map((blob) => ({ name: blobName(blob.digest), blob })),
    { name: 'index.json', bytes: serializeIndex(createIndex(entries), 'compact') },
    { name: 'oci-layout', bytes: Buffer.from(LAYOUT_FILE), mode: 0o444 },
    ...(options.isDocker ? [{ name: 'manifest.json', bytes: dockerManifest(bundles) }] : []),
  ]
}

/** Everything of a bundle that is a document. */
function documentsOf({ root, children, images }: Bundle): readonly Document[] {
  return [root, ...children, ...images.map(({ config }) => config)]
}

function documentBlob({ bytes, descriptor: { digest, size } }: Document): ImageBlob {
  return { digest, size, open: () => once(bytes) }
}

async function* once(bytes: Uint8Array): AsyncIterable<Uint8Array> {
  yield bytes
}

/** One entry a name, or one without. */
export function layoutEntries({ root, names }: Bundle, word?: string): readonly Descriptor[] {
  const { mediaType, digest, size } = root.descriptor
  const bare = { mediaType, digest, size }
  if (word !== undefined) return [{ ...bare, annotations: { [REF_NAME]: word } }]
  if (names.length === 0) return [bare]
  return names.map((name) => ({ ...bare, annotations: { [IMAGE_NAME]: name, [REF_NAME]: tagOf(name) } }))
}

function tagOf(name: string): string {
  const { tag, digest } = parseReference(name)
  return tag ?? digest ?? name
}

/** What `docker load` looks for (docker save's format, version 1.2): of several platforms the one that fits this machine. */
function dockerManifest(bundles: readonly Bundle[]): Uint8Array {
  const rows = bundles.flatMap((bundle) => {
    const image = mainImage(bundle)
    if (image === undefined) return []
    return {
      Config: `blobs/sha256/${digestHex(image.config.descriptor.digest)}`,
      RepoTags: bundle.names.length === 0 ? null : bundle.names.map((name) => formatFamiliar(parseReference(name))),
      Layers: image.layers.map(({ digest }) => `blobs/sha256/${digestHex(digest)}`),
    }
  })
  return Buffer.from(goJson(rows))
}

/** The image that stands for all where one alone can: that of this machine, else the first. */
function mainImage({ images }: Bundle): BundleImage | undefined {
  const read = images.map((image) => ({ image, config: parseImageConfig(image.config.bytes) }))
  return (closestTo(hostPlatform(), read) ?? read[0])?.image
}

export function writtenImage(bundle: Bundle): WrittenImage {
  const { digest, size } = bundle.root.descriptor
  return { digest, sizeBytes: size, names: bundle.names }
}
