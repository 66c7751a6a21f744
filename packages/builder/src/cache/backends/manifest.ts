/** The document that holds a cache together in a registry or a layout: BuildKit's two forms, both ways. */
import { describe } from '../../oci/descriptor.ts'
import { digestOf, isDigest, type Digest, type DiffID } from '../../oci/digest.ts'
import { goJson } from '../../oci/go-json.ts'
import { MediaType } from '../../oci/media-types.ts'
import { BuilderError } from '../../base/errors.ts'
import type { Descriptor } from '../../oci/types.ts'
import { boundConfig } from '../buildkit/bound-config.ts'
import {
  CACHE_CONFIG,
  decodeConfig,
  decodeRecords,
  encodeConfig,
  MAX_CONFIG_BYTES,
  type CacheConfig,
} from '../buildkit/config.ts'
import { MOUNTS_TYPE } from '../carried-mounts.ts'
import type { ManifestForm } from './attributes.ts'
import type { CachedLayer, CacheLayerToWrite, CacheToWrite, ImportedCache } from './types.ts'

const DIFF_ID = 'containerd.io/uncompressed'
const CREATED = 'buildkit/createdat'

/** Reads a document of the place where the cache lies; each at most once, and no layer. */
export type ReadDocument = (descriptor: Pick<Descriptor, 'digest' | 'size' | 'mediaType'>) => Promise<Uint8Array>

/** We read what is twice as large as BuildKit's readers take: what is larger was not written by either. */
export const MAX_READ_BYTES: number = 2 << 20

/** The caches that a manifest or index names: one of its own, or that inside the config of each image. */
export async function readCaches(top: Uint8Array, reference: string, read: ReadDocument): Promise<ImportedCache[]> {
  const json = parse(top)
  const descriptors = listOf(json['manifests'])
  if (descriptors === undefined) return readImage(json, reference, read)
  const config = descriptors.find(({ mediaType }) => mediaType === CACHE_CONFIG)
  if (config !== undefined) {
    const layers = descriptors.filter((descriptor) => descriptor !== config)
    return [cacheOf(decodeConfig(textOf(await readBounded(config, read))), layers, reference)]
  }
  const caches: ImportedCache[] = []
  for (const descriptor of descriptors) {
    // What attests an image is none.
    if (descriptor.annotations?.['vnd.docker.reference.type'] !== undefined) continue
    caches.push(...(await readImage(parse(await readBounded(descriptor, read)), reference, read)))
  }
  return caches
}

async function readImage(
  manifest: Readonly<Record<string, unknown>>,
  reference: string,
  read: ReadDocument,
): Promise<ImportedCache[]> {
  const [config] = listOf([manifest['config']]) ?? []
  const layers = listOf(manifest['layers']) ?? []
  if (config === undefined) return []
  const text = textOf(await readBounded(config, read))
  if (config.mediaType === CACHE_CONFIG) return [cacheOf(decodeConfig(text), layers, reference)]
  return readInline(parse(Buffer.from(text)), layers, reference)
}

/** The layers of the image, with what its config says of each. */
function readInline(
  image: Readonly<Record<string, unknown>>,
  layers: readonly Descriptor[],
  reference: string,
): ImportedCache[] {
  const packed = image['moby.buildkit.cache.v0']
  if (typeof packed !== 'string') return []
  const records = decodeRecords(Buffer.from(packed, 'base64').toString('utf8'), layers.length)
  const { diff_ids: diffIds } = (image['rootfs'] ?? {}) as { readonly diff_ids?: unknown }
  const history = Array.isArray(image['history'])
    ? (image['history'] as { empty_layer?: unknown; created?: unknown }[])
    : []
  const created = history.filter((entry) => entry?.empty_layer !== true).map((entry) => entry?.created)
  const known = layers.map((descriptor, index): CachedLayer | undefined => {
    const diffId = Array.isArray(diffIds) ? (diffIds[index] as unknown) : undefined
    if (typeof diffId !== 'string' || !isDigest(diffId)) return undefined
    return { descriptor, diffId: diffId as string as DiffID, createdMs: timeOf(created[index]) }
  })
  return [{ records, layers: known, reference }]
}

/** @param descriptors of the layers; else their own annotations say what they are */
export function cacheOf(config: CacheConfig, descriptors: readonly Descriptor[], reference: string): ImportedCache {
  const byDigest = new Map(descriptors.map((descriptor) => [descriptor.digest, descriptor]))
  const layers = config.layers.map(({ blob, annotations: own }): CachedLayer | undefined => {
    const given = byDigest.get(blob)
    const diffId = given?.annotations?.[DIFF_ID] ?? own?.diffId
    if (diffId === undefined || !isDigest(diffId)) return undefined
    const mediaType = given?.mediaType ?? own!.mediaType
    const size = given?.size ?? own!.size
    return {
      descriptor: { mediaType, digest: blob, size },
      diffId: diffId as string as DiffID,
      createdMs: timeOf(given?.annotations?.[CREATED] ?? own?.createdAt),
    }
  })
  return { records: config.records, layers, reference }
}

function timeOf(text: unknown): number {
  const time = typeof text === 'string' ? Date.parse(text) : Number.NaN
  return Number.isNaN(time) ? 0 : Math.max(0, time)
}

async function readBounded(
  descriptor: Pick<Descriptor, 'digest' | 'size' | 'mediaType'>,
  read: ReadDocument,
): Promise<Uint8Array> {
  const { digest, size } = descriptor
  if (size > MAX_READ_BYTES)
    throw new BuilderError(
      'OCI_CACHE_INVALID',
      `the cache's document ${digest} of ${size} bytes is larger than ${MAX_READ_BYTES}`,
    )
  const bytes = await read(descriptor)
  if (bytes.length === size && digestOf(bytes) === digest) return bytes
  throw new BuilderError('OCI_DIGEST_MISMATCH', `the cache's document ${digest} is another one where it lies`)
}

function parse(bytes: Uint8Array): Readonly<Record<string, unknown>> {
  let json: unknown
  try {
    json = JSON.parse(textOf(bytes))
  } catch (cause) {
    throw new BuilderError('OCI_CACHE_INVALID', 'the manifest of the cache is no JSON', { cause })
  }
  if (typeof json === 'object' && json !== null && !Array.isArray(json)) return json as Record<string, unknown>
  throw new BuilderError('OCI_CACHE_INVALID', 'the manifest of the cache is no object')
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf8')
}

/** What are descriptors of a list; the rest is not looked at. */
function listOf(list: unknown): readonly Descriptor[] | undefined {
  if (!Array.isArray(list)) return undefined
  return (list as readonly Partial<Descriptor>[]).filter(
    (one): one is Descriptor =>
      typeof one === 'object' &&
      one !== null &&
      typeof one.digest === 'string' &&
      isDigest(one.digest) &&
      typeof one.mediaType === 'string' &&
      Number.isSafeInteger(one.size) &&
      one.size! >= 0,
  )
}

/** A cache as documents. */
export interface CacheDocuments {
  readonly config: { readonly descriptor: Descriptor; readonly bytes: Uint8Array }
  readonly manifest: { readonly descriptor: Descriptor; readonly bytes: Uint8Array }
  /** Each once. */
  readonly layers: readonly CacheLayerToWrite[]
  /** Keys that are in none, so that what is written is small enough for BuildKit to read. */
  readonly leftOut: number
}

/**
 * The documents of a cache, byte for byte as BuildKit writes them; of one that its reader would refuse the newest part.
 * @throws OCI_CACHE_INVALID where no part of it is small enough
 */
export function cacheDocuments({ config, layers }: CacheToWrite, form: ManifestForm): CacheDocuments {
  const documents = (part: CacheConfig): CacheDocuments => documentsOf({ config: part, layers }, form)
  const bound = boundConfig(config, (part) => {
    const { config: inner, manifest } = documents(part)
    return Math.max(inner.bytes.length, manifest.bytes.length) <= MAX_CONFIG_BYTES
  })
  if (bound === undefined)
    throw new BuilderError('OCI_CACHE_INVALID', `no part of the cache is below ${MAX_CONFIG_BYTES} bytes`)
  return { ...documents(bound.config), leftOut: bound.leftOut }
}

/** One line for who reads the log; undefined where all is written. */
export function leftOutLine(leftOut: number, all: number): string | undefined {
  if (leftOut === 0) return undefined
  return `the oldest ${leftOut} of ${all} keys are left out: BuildKit reads no cache of more than ${MAX_CONFIG_BYTES >> 20} MiB`
}

function documentsOf({ config, layers }: CacheToWrite, form: ManifestForm): CacheDocuments {
  const configBytes = Buffer.from(encodeConfig(config))
  const configDescriptor = describe(configBytes, CACHE_CONFIG)
  const named = encodedLayers(configBytes).map((digest) => layers.get(digest)!)
  const descriptors = named.map(({ descriptor }) =>
    form.isOci ? descriptor : { ...descriptor, mediaType: dockerType(descriptor.mediaType) },
  )
  const [mediaType, members] = form.isImage
    ? [MediaType.ociManifest, { config: configDescriptor, layers: descriptors }]
    : [form.isOci ? MediaType.ociIndex : MediaType.dockerList, { manifests: [...descriptors, configDescriptor] }]
  const bytes = Buffer.from(goJson({ schemaVersion: 2, mediaType, ...members }))
  return {
    config: { descriptor: configDescriptor, bytes: configBytes },
    manifest: { descriptor: describe(bytes, mediaType), bytes },
    layers: [...new Set(named)],
    leftOut: 0,
  }
}

/** In the order of the config as it is written. */
function encodedLayers(config: Buffer): readonly Digest[] {
  return (JSON.parse(config.toString('utf8')) as { layers: readonly { blob: Digest }[] }).layers.map(({ blob }) => blob)
}

function dockerType(mediaType: string): string {
  if (mediaType === MOUNTS_TYPE) return mediaType
  if (mediaType.endsWith('+gzip')) return MediaType.dockerLayerGzip
  if (mediaType.endsWith('+zstd')) return 'application/vnd.docker.image.rootfs.diff.tar.zstd'
  return 'application/vnd.docker.image.rootfs.diff.tar'
}
