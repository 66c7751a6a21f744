import { BuilderError } from '../base/errors.ts'
import { checkDescriptor, isStringMap, orderDescriptor } from './descriptor.ts'
import { digestOf, type Digest } from './digest.ts'
import { goJson, goJsonIndented, nonEmpty, sortedMap } from './go-json.ts'
import { documentType, parseDocument } from './manifest.ts'
import { MediaType, isIndexType } from './media-types.ts'
import type { Descriptor, ImageIndex } from './types.ts'

const MAX_ENTRIES = 10_000

/** An image index as it was received: the digest is that of `raw`. */
export interface ParsedIndex {
  readonly index: ImageIndex
  readonly raw: Uint8Array
  readonly digest: Digest
  readonly mediaType: string
}

/**
 * Parses and checks an image index or a Docker manifest list (image-spec, image-index.md).
 * @throws OCI_MANIFEST_INVALID, OCI_MEDIA_TYPE_UNSUPPORTED
 */
export function parseIndex(raw: Uint8Array, contentType?: string): ParsedIndex {
  const value = parseDocument(raw)
  const mediaType = documentType(value, contentType, MediaType.ociIndex)
  if (!isIndexType(mediaType)) {
    throw new BuilderError(
      'OCI_MEDIA_TYPE_UNSUPPORTED',
      `media type ${JSON.stringify(mediaType)} is not that of an image index`,
    )
  }
  if ('layers' in value || 'config' in value) throw invalid('the document is an index and a manifest at once')
  if (!Array.isArray(value['manifests']) && value['manifests'] !== null) throw invalid('manifests is not a list')
  const manifests = (value['manifests'] ?? []) as unknown[]
  if (manifests.length > MAX_ENTRIES) throw invalid(`${manifests.length} entries are more than ${MAX_ENTRIES}`)
  const { annotations } = value
  const index: ImageIndex = {
    schemaVersion: 2,
    mediaType,
    manifests: manifests.map((entry, position) => checkDescriptor(entry, `manifests[${position}]`)),
    ...(isStringMap(annotations) ? { annotations } : {}),
  }
  return { index, raw, digest: digestOf(raw), mediaType }
}

/** True when bytes of unknown kind are an index: by their media type, else by their members. */
export function looksLikeIndex(raw: Uint8Array, contentType?: string): boolean {
  const value = parseDocument(raw)
  const mediaType = documentType(value, contentType, 'manifests' in value ? MediaType.ociIndex : MediaType.ociManifest)
  return isIndexType(mediaType)
}

/** The bytes of `index.json` as BuildKit's archive writes it (`compact`), or of a nested index (two spaces of indent). */
export function serializeIndex(index: ImageIndex, style: 'compact' | 'indented'): Uint8Array {
  const { schemaVersion, mediaType, manifests, annotations } = index
  const value = {
    schemaVersion,
    mediaType,
    manifests: nonEmpty(manifests)?.map(orderDescriptor) ?? [],
    annotations: sortedMap(annotations),
  }
  return Buffer.from(style === 'compact' ? goJson(value) : goJsonIndented(value))
}

/** An index over these entries. */
export function createIndex(manifests: readonly Descriptor[]): ImageIndex {
  return { schemaVersion: 2, mediaType: MediaType.ociIndex, manifests }
}

function invalid(what: string): BuilderError {
  return new BuilderError('OCI_MANIFEST_INVALID', `invalid image index: ${what}`)
}
