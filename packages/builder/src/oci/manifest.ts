import { BuilderError } from '../base/errors.ts'
import { checkDescriptor, describe, isStringMap, orderDescriptor } from './descriptor.ts'
import { digestOf, type Digest } from './digest.ts'
import { goJsonIndented, sortedMap } from './go-json.ts'
import { MediaType, isConfigType, isIndexType, isManifestType } from './media-types.ts'
import { isTooDeep } from './nesting.ts'
import type { Descriptor, Manifest } from './types.ts'

/** Registries refuse manifests above 4 MiB (distribution-spec, Pushing Manifests); so do we. */
export const MAX_MANIFEST_BYTES: number = 4 * 1024 * 1024
/** Far above what a kernel mounts or a tool writes; a bound for what a stranger can make us do. */
const MAX_LAYERS = 10_000

/** A manifest as it was received: the digest is that of `raw`, which is never written anew. */
export interface ParsedManifest {
  readonly manifest: Manifest
  readonly raw: Uint8Array
  readonly digest: Digest
  readonly mediaType: string
}

/**
 * Parses and checks the manifest of one image (image-spec, manifest.md; Docker schema 2).
 * `contentType` is what a registry or descriptor says about it: the document's own mediaType must agree
 * (image-spec: a document that reads as two things is an attack).
 * @throws OCI_MANIFEST_INVALID, OCI_MEDIA_TYPE_UNSUPPORTED
 */
export function parseManifest(raw: Uint8Array, contentType?: string): ParsedManifest {
  const value = parseDocument(raw)
  const mediaType = documentType(value, contentType, MediaType.ociManifest)
  if (isIndexType(mediaType) || 'manifests' in value) throw invalid('expected the manifest of one image, not an index')
  if (!isManifestType(mediaType)) throw unsupported(mediaType)
  if (!Array.isArray(value['layers']) && value['layers'] !== null) throw invalid('layers is not a list')
  const layers = (value['layers'] ?? []) as unknown[]
  if (layers.length > MAX_LAYERS) throw invalid(`${layers.length} layers are more than ${MAX_LAYERS}`)
  const { artifactType, subject, annotations } = value
  const manifest: Manifest = {
    schemaVersion: 2,
    mediaType,
    ...(typeof artifactType === 'string' && artifactType !== '' ? { artifactType } : {}),
    config: checkDescriptor(value['config'], 'config'),
    layers: layers.map((layer, index) => checkDescriptor(layer, `layers[${index}]`)),
    ...(subject === undefined || subject === null ? {} : { subject: checkDescriptor(subject, 'subject') }),
    ...(isStringMap(annotations) ? { annotations } : {}),
  }
  return { manifest, raw, digest: digestOf(raw), mediaType }
}

/** @throws OCI_MEDIA_TYPE_UNSUPPORTED for the manifest of an artifact (a chart, a signature, any files): it has no image config */
export function checkIsImage({ config, artifactType }: Manifest, name: string): void {
  if (isConfigType(config.mediaType)) return
  const kind = artifactType ?? config.mediaType
  throw new BuilderError('OCI_MEDIA_TYPE_UNSUPPORTED', `${name} is no image, but an artifact of type ${kind}`, {
    hint: 'only an image can be a base; tools such as oras fetch artifacts',
    details: { configType: config.mediaType },
  })
}

/** The bytes of a manifest as BuildKit writes them: two spaces of indent, no final newline. */
export function serializeManifest(manifest: Manifest): Uint8Array {
  const { schemaVersion, mediaType, artifactType, config, layers, subject, annotations } = manifest
  return Buffer.from(
    goJsonIndented({
      schemaVersion,
      mediaType,
      artifactType: artifactType === '' ? undefined : artifactType,
      config: orderDescriptor(config),
      layers: layers.map(orderDescriptor),
      subject: subject === undefined ? undefined : orderDescriptor(subject),
      annotations: sortedMap(annotations),
    }),
  )
}

/** Descriptor of a manifest's bytes. */
export function describeManifest(
  parsed: Pick<ParsedManifest, 'raw' | 'mediaType'>,
  more: Partial<Descriptor> = {},
): Descriptor {
  return describe(parsed.raw, parsed.mediaType, more)
}

/** @internal A JSON object within the size limit. @throws OCI_MANIFEST_INVALID */
export function parseDocument(raw: Uint8Array): Record<string, unknown> {
  if (raw.length > MAX_MANIFEST_BYTES) throw invalid(`${raw.length} bytes are more than ${MAX_MANIFEST_BYTES}`)
  let value: unknown
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(raw)
    value = isTooDeep(text) ? undefined : JSON.parse(text)
  } catch (cause) {
    throw invalid('not JSON', cause)
  }
  if (value === undefined) throw invalid('its JSON is nested too deep')
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw invalid('not a JSON object')
  return value as Record<string, unknown>
}

/** @internal What a document is: its own word, that of its transport, or the default. They may not contradict. */
export function documentType(
  value: Record<string, unknown>,
  contentType: string | undefined,
  fallback: string,
): string {
  if (value['schemaVersion'] === 1) {
    throw new BuilderError('OCI_MEDIA_TYPE_UNSUPPORTED', 'image manifests of schema version 1 are not supported', {
      hint: 'push the image again with a current tool: schema 1 was retired by Docker in 2024',
    })
  }
  if (value['schemaVersion'] !== 2) throw invalid(`unsupported schemaVersion ${JSON.stringify(value['schemaVersion'])}`)
  const own = typeof value['mediaType'] === 'string' && value['mediaType'] !== '' ? value['mediaType'] : undefined
  const told = normalizeContentType(contentType)
  // Either spelling of one kind reads the same; some registries serve all manifests under one type (BuildKit takes them).
  if (own !== undefined && told !== undefined && own !== told && kindOf(own) !== kindOf(told))
    throw invalid(`the document says ${own}, its transport says ${told}`)
  return own ?? told ?? fallback
}

function kindOf(mediaType: string): string {
  return isIndexType(mediaType) ? 'index' : isManifestType(mediaType) ? 'manifest' : mediaType
}

function normalizeContentType(contentType: string | undefined): string | undefined {
  const type = contentType?.split(';')[0]?.trim()
  // A plain server says nothing of use: the document's own word stands.
  return type === undefined ||
    type === '' ||
    type === 'application/json' ||
    type.startsWith('text/') ||
    type === 'application/octet-stream'
    ? undefined
    : type
}

function invalid(what: string, cause?: unknown): BuilderError {
  return new BuilderError('OCI_MANIFEST_INVALID', `invalid image manifest: ${what}`, { cause })
}

function unsupported(mediaType: string): BuilderError {
  return new BuilderError(
    'OCI_MEDIA_TYPE_UNSUPPORTED',
    `media type ${JSON.stringify(mediaType)} is not that of an image`,
  )
}
