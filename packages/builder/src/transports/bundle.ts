import { BuilderError } from '../base/errors.ts'
import type { Digest } from '../oci/digest.ts'
import { parseImageConfig } from '../oci/image-config.ts'
import { looksLikeIndex, parseIndex } from '../oci/image-index.ts'
import { parseManifest } from '../oci/manifest.ts'
import { isConfigType, isForeignLayer, isIndexType, isManifestType } from '../oci/media-types.ts'
import { formatPlatform, hostPlatform } from '../oci/platform.ts'
import { awaitSelection, selectImage } from '../oci/select-image.ts'
import type { Descriptor, Platform } from '../oci/types.ts'
import type { Bundle, BundleImage, Document, SourceImage, TransportBlob } from './types.ts'

/** Which images of an index. */
export type Selection =
  /** The one for a platform, which stands alone then. */
  | { readonly kind: 'platform'; readonly platform: Platform; readonly isOptional?: boolean }
  /** All of them, with what else belongs to it; `isPartial`: those that the place has. */
  | { readonly kind: 'all'; readonly isPartial?: boolean }
  /** The index and none of them. */
  | { readonly kind: 'index-only' }

const MAX_DEPTH = 3

/** Gathers what belongs to an image: documents are read, blobs are named. */
export async function gather(source: SourceImage, selection: Selection, signal: AbortSignal): Promise<Bundle> {
  const { root } = source
  const isIndex = looksLikeIndex(root.bytes, root.descriptor.mediaType)
  if (!isIndex || selection.kind === 'index-only') return bundleOf(source, root, !isIndex, false, signal)
  if (selection.kind === 'all') return bundleOf(source, root, true, selection.isPartial === true, signal)
  return bundleOf(source, await select(source, selection.platform, signal), true, false, signal)
}

/** The one manifest of an index that fits a platform. @throws OCI_PLATFORM_NOT_FOUND */
async function select(source: SourceImage, platform: Platform, signal: AbortSignal): Promise<Document> {
  const { root } = source
  const selection = selectImage({ bytes: root.bytes, mediaType: root.descriptor.mediaType }, platform)
  const { manifest, offered } = await awaitSelection(selection, (descriptor) => required(source, descriptor, signal))
  if (manifest !== undefined) {
    const { raw, mediaType, digest } = manifest
    return { bytes: raw, descriptor: { mediaType, digest, size: raw.length } }
  }
  const names = [...new Set(offered.flatMap((one) => (one.os === 'unknown' ? [] : formatPlatform(one))))]
  throw new BuilderError('OCI_PLATFORM_NOT_FOUND', `there is no image for ${formatPlatform(platform)}`, {
    hint: names.length === 0 ? 'the index names no image' : `it has ${names.join(', ')}; choose one with --platform`,
  })
}

async function required(source: SourceImage, descriptor: Descriptor, signal: AbortSignal): Promise<Uint8Array> {
  const bytes = await source.read(descriptor, signal)
  if (bytes !== undefined) return bytes
  throw new BuilderError('OCI_BLOB_NOT_FOUND', `${descriptor.digest} is named and is not there`, {
    hint: 'the source is cut off or damaged, or holds other platforms only',
  })
}

interface Gathering {
  readonly source: SourceImage
  readonly isPartial: boolean
  readonly signal: AbortSignal
  readonly children: Map<Digest, Document>
  readonly images: BundleImage[]
  readonly blobs: Map<Digest, TransportBlob>
}

async function bundleOf(
  source: SourceImage,
  root: Document,
  isDeep: boolean,
  isPartial: boolean,
  signal: AbortSignal,
): Promise<Bundle> {
  const gathering: Gathering = { source, isPartial, signal, children: new Map(), images: [], blobs: new Map() }
  if (isDeep) await visit(gathering, root, 0)
  const { children, images, blobs } = gathering
  if (isPartial && images.length === 0)
    throw new BuilderError('OCI_BLOB_NOT_FOUND', `none of the images of ${root.descriptor.digest} is there as a whole`)
  return {
    root,
    names: source.names,
    isMade: source.isMade,
    children: [...children.values()],
    images,
    blobs: [...blobs.values()],
  }
}

async function visit(gathering: Gathering, document: Document, depth: number): Promise<void> {
  if (depth > MAX_DEPTH) throw new BuilderError('OCI_MANIFEST_INVALID', 'the image index is nested too deeply')
  const { bytes, descriptor } = document
  if (!looksLikeIndex(bytes, descriptor.mediaType)) return visitManifest(gathering, document)
  const { source, children, isPartial, signal } = gathering
  for (const entry of parseIndex(bytes, descriptor.mediaType).index.manifests) {
    if (children.has(entry.digest)) continue
    if (!isIndexType(entry.mediaType) && !isManifestType(entry.mediaType)) {
      addBlob(gathering, entry)
      continue
    }
    if (isPartial && !(await isWhole(source, entry, signal))) continue
    const { mediaType, digest, size } = entry
    const child = { bytes: await required(source, entry, signal), descriptor: { mediaType, digest, size } }
    await visit(gathering, child, depth + 1)
    children.set(entry.digest, child)
  }
}

/** Whether the place has an image of an index with all that it names; of an index below it, whether it has that. */
async function isWhole(source: SourceImage, entry: Descriptor, signal: AbortSignal): Promise<boolean> {
  const bytes = await source.read(entry, signal)
  if (bytes === undefined) return false
  if (looksLikeIndex(bytes, entry.mediaType)) return true
  const { config, layers } = parseManifest(bytes, entry.mediaType).manifest
  return [config, ...layers].every((one) => isForeignLayer(one.mediaType) || source.blob(one) !== undefined)
}

async function visitManifest(gathering: Gathering, document: Document): Promise<void> {
  const { source, signal, images } = gathering
  const { config, layers } = parseManifest(document.bytes, document.descriptor.mediaType).manifest
  for (const one of [config, ...layers]) if (!isForeignLayer(one.mediaType)) addBlob(gathering, one)
  if (!isConfigType(config.mediaType)) return
  const bytes = await required(source, config, signal)
  // What was attested of an image stands in its index as an image of no platform.
  if (parseImageConfig(bytes).os === 'unknown') return
  images.push({ manifest: document, config: { bytes, descriptor: config }, layers })
}

function addBlob({ source, blobs, isPartial }: Gathering, descriptor: Descriptor): void {
  const { mediaType, digest, size } = descriptor
  if (blobs.has(digest)) return
  const blob = source.blob({ mediaType, digest, size })
  if (blob !== undefined) blobs.set(digest, blob)
  else if (!isPartial)
    throw new BuilderError('OCI_BLOB_NOT_FOUND', `blob ${digest} is named by an image and is not there`, {
      hint: 'the source is cut off or damaged: write or fetch it again',
    })
}

/** What `--platform` or nothing means. */
export function platformSelection(platform: Platform | undefined): Selection {
  return { kind: 'platform', platform: platform ?? hostPlatform() }
}
