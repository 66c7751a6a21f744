import { createReadStream } from 'node:fs'
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable, type Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGunzip, createZstdDecompress } from 'node:zlib'
import { createDigester, digestHex, digestOf, type DiffID, type Digest } from './digest.ts'
import { countLayers } from './history.ts'
import { MAX_CONFIG_BYTES, parseImageConfig } from './image-config.ts'
import { parseIndex } from './image-index.ts'
import { MAX_MANIFEST_BYTES, parseManifest, type ParsedManifest } from './manifest.ts'
import { MediaType, isIndexType, isManifestType, layerCompression } from './media-types.ts'
import type { Descriptor, ImageConfig } from './types.ts'

/** Where blobs are read from: a layout on disk, the store, an archive in memory. */
interface BlobSource {
  /** Bytes; undefined when the blob is missing. */
  size(digest: Digest): Promise<number | undefined>
  open(digest: Digest): AsyncIterable<Uint8Array>
}

/** One thing that is wrong with an image: where, and what. */
export interface ValidationProblem {
  /** `manifests[0].layers[2]`. */
  readonly where: string
  readonly message: string
}

/** The blobs of an image layout directory (image-spec, image-layout.md). */
function directoryBlobs(directory: string): BlobSource {
  const path = (digest: Digest): string => join(directory, 'blobs/sha256', digestHex(digest))
  return {
    size: async (digest) => (await stat(path(digest)).catch(() => undefined))?.size,
    open: (digest) => createReadStream(path(digest)),
  }
}

/** Checks a whole image layout: its files, and every image that its index names. An empty list: it is valid. */
export async function validateLayout(directory: string): Promise<readonly ValidationProblem[]> {
  const layout = await readFile(join(directory, 'oci-layout'), 'utf8').catch(() => undefined)
  const index = await readFile(join(directory, 'index.json')).catch(() => undefined)
  const problems: ValidationProblem[] = []
  if (layout === undefined) problems.push({ where: 'oci-layout', message: 'the file is missing' })
  else if (!/"imageLayoutVersion"\s*:\s*"1\.0\.0"/.test(layout))
    problems.push({ where: 'oci-layout', message: 'the version is not 1.0.0' })
  if (index === undefined) return [...problems, { where: 'index.json', message: 'the file is missing' }]
  return [
    ...problems,
    ...(await validateIndexBytes(directoryBlobs(directory), index, 'index.json', MediaType.ociIndex)),
  ]
}

/**
 * Checks an image or an index against its descriptor, down to the bytes of each layer: digests, sizes, diffIDs, and
 * that history and rootfs speak of as many layers. An empty list: it is valid.
 */
async function validateImage(
  source: BlobSource,
  descriptor: Descriptor,
  where = 'image',
): Promise<readonly ValidationProblem[]> {
  const size = await source.size(descriptor.digest)
  if (size === undefined) return [{ where, message: `blob ${descriptor.digest} is missing` }]
  if (size !== descriptor.size) return [{ where, message: `size ${size}, not ${descriptor.size}` }]
  if (!isIndexType(descriptor.mediaType) && !isManifestType(descriptor.mediaType))
    return validateBlob(source, descriptor, where)
  if (size > MAX_MANIFEST_BYTES) return [{ where, message: `${size} bytes are too many for a manifest` }]
  const bytes = await readAll(source.open(descriptor.digest))
  if (digestOf(bytes) !== descriptor.digest)
    return [{ where, message: `digest ${digestOf(bytes)}, not ${descriptor.digest}` }]
  if (isIndexType(descriptor.mediaType)) return validateIndexBytes(source, bytes, where, descriptor.mediaType)
  return validateManifestBytes(source, bytes, where, descriptor.mediaType)
}

async function validateIndexBytes(
  source: BlobSource,
  bytes: Uint8Array,
  where: string,
  mediaType: string,
): Promise<readonly ValidationProblem[]> {
  const parsed = attempt(() => parseIndex(bytes, mediaType))
  if (typeof parsed === 'string') return [{ where, message: parsed }]
  const problems: ValidationProblem[] = []
  for (const [position, entry] of parsed.index.manifests.entries()) {
    problems.push(...(await validateImage(source, entry, `${where}.manifests[${position}]`)))
  }
  return problems
}

async function validateManifestBytes(
  source: BlobSource,
  bytes: Uint8Array,
  where: string,
  mediaType: string,
): Promise<readonly ValidationProblem[]> {
  const parsed = attempt(() => parseManifest(bytes, mediaType))
  if (typeof parsed === 'string') return [{ where, message: parsed }]
  const { manifest } = parsed
  const problems = [...(await validateBlob(source, manifest.config, `${where}.config`))]
  const isImage =
    manifest.config.mediaType === MediaType.ociConfig || manifest.config.mediaType === MediaType.dockerConfig
  const config = isImage && problems.length === 0 ? await readImageConfig(source, parsed) : undefined
  if (typeof config === 'string') problems.push({ where: `${where}.config`, message: config })
  else if (config !== undefined) problems.push(...countProblems(config, parsed, where))
  for (const [position, layer] of manifest.layers.entries()) {
    const diffId = typeof config === 'object' ? config.rootfs.diff_ids[position] : undefined
    problems.push(...(await validateBlob(source, layer, `${where}.layers[${position}]`, diffId)))
  }
  return problems
}

async function readImageConfig(source: BlobSource, { manifest }: ParsedManifest): Promise<ImageConfig | string> {
  const { digest, size } = manifest.config
  if (size > MAX_CONFIG_BYTES) return `${size} bytes are too many for a config`
  const bytes = await readAll(source.open(digest))
  return attempt(() => parseImageConfig(bytes))
}

function countProblems(config: ImageConfig, { manifest }: ParsedManifest, where: string): ValidationProblem[] {
  const problems: ValidationProblem[] = []
  const diffIds = config.rootfs.diff_ids.length
  if (diffIds !== manifest.layers.length)
    problems.push({ where, message: `${manifest.layers.length} layers, but ${diffIds} diff_ids` })
  // No entry at all says nothing: an image without history is written with an empty list.
  const counted = config.history === undefined || config.history.length === 0 ? diffIds : countLayers(config.history)
  if (counted !== diffIds) problems.push({ where, message: `${diffIds} layers, but the history speaks of ${counted}` })
  return problems
}

/** Checks one blob; with `diffId` also what it holds once it is inflated. */
async function validateBlob(
  source: BlobSource,
  descriptor: Descriptor,
  where: string,
  diffId?: DiffID,
): Promise<readonly ValidationProblem[]> {
  const size = await source.size(descriptor.digest)
  if (size === undefined) return [{ where, message: `blob ${descriptor.digest} is missing` }]
  if (size !== descriptor.size) return [{ where, message: `size ${size}, not ${descriptor.size}` }]
  const compression = layerCompression(descriptor.mediaType)
  const digester = createDigester()
  const inflated = createDigester()
  try {
    const stored = tap(source.open(descriptor.digest), digester)
    if (diffId === undefined || compression === undefined || compression === 'none')
      for await (const chunk of stored) inflated.update(chunk)
    else await inflate(stored, compression === 'gzip' ? createGunzip() : createZstdDecompress(), inflated)
  } catch (error) {
    return [{ where, message: `cannot be read: ${(error as Error).message}` }]
  }
  const problems: ValidationProblem[] = []
  const digest = digester.digest()
  if (digest !== descriptor.digest) problems.push({ where, message: `digest ${digest}, not ${descriptor.digest}` })
  const actual = inflated.digest()
  if (diffId !== undefined && compression !== undefined && (actual as string) !== diffId)
    problems.push({ where, message: `diffID ${actual}, not ${diffId}` })
  return problems
}

async function* tap(
  chunks: AsyncIterable<Uint8Array>,
  digester: { update(chunk: Uint8Array): void },
): AsyncIterable<Uint8Array> {
  for await (const chunk of chunks) {
    digester.update(chunk)
    yield chunk
  }
}

async function inflate(
  chunks: AsyncIterable<Uint8Array>,
  decompress: Transform,
  digester: { update(chunk: Uint8Array): void },
): Promise<void> {
  await pipeline(Readable.from(chunks), decompress, async (plain: AsyncIterable<Uint8Array>) => {
    for await (const chunk of plain) digester.update(chunk)
  })
}

async function readAll(chunks: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const parts: Uint8Array[] = []
  for await (const chunk of chunks) parts.push(chunk)
  return Buffer.concat(parts)
}

/** The result, or the message of our error. */
function attempt<Result>(work: () => Result): Result | string {
  try {
    return work()
  } catch (error) {
    return (error as Error).message
  }
}
