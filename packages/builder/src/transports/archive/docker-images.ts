import { createReadStream } from 'node:fs'
import { open } from 'node:fs/promises'
import { BuilderError } from '../../base/errors.ts'
import { describe } from '../../oci/descriptor.ts'
import { createDigester, isDigest, type Digest, type DiffID } from '../../oci/digest.ts'
import { MAX_CONFIG_BYTES, parseImageConfig } from '../../oci/image-config.ts'
import { serializeManifest } from '../../oci/manifest.ts'
import { MediaType } from '../../oci/media-types.ts'
import { isTooDeep } from '../../oci/nesting.ts'
import { canonicalName } from '../../oci/reference.ts'
import { decompress, detectCompression, MAGIC_BYTES } from '../../tar/decompress.ts'
import type { SourceImage, TransportBlob, TransportContext } from '../types.ts'
import { archivedBlob, missing, readDocument } from './blobs.ts'
import type { ArchivedFile, FileSet } from './file-set.ts'

/** A thousand images of a hundred layers have some 10 MB. */
const MAX_LIST_BYTES = 16 * 1024 * 1024
const READ_BYTES = 1 << 20

/** An entry of `manifest.json`. */
interface SavedImage {
  readonly config: string
  readonly names: readonly string[]
  readonly layers: readonly string[]
}

/**
 * The images of `manifest.json` (moby's image-spec 1.2). It keeps no manifest, so one is made: over the config as it is, and
 * the layers as they are.
 */
export async function dockerImages(files: FileSet, context: TransportContext): Promise<readonly SourceImage[]> {
  const saved = await readList(files)
  // A layer that several have is looked at once.
  const layers = new Map<string, Promise<TransportBlob>>()
  const layerOf = (path: string, diffId: DiffID): Promise<TransportBlob> => {
    const key = `${path} ${diffId}`
    const known = layers.get(key) ?? readLayer(files, path, diffId, context)
    layers.set(key, known)
    return known
  }
  const images: SourceImage[] = []
  for (const one of saved) images.push(await dockerImage(files, one, layerOf))
  return images
}

async function readList(files: FileSet): Promise<readonly SavedImage[]> {
  if (files.find('manifest.json') === undefined) throw noImageArchive(files)
  const text = Buffer.from(await readDocument(files, 'manifest.json', MAX_LIST_BYTES)).toString('utf8')
  let list: unknown
  try {
    list = isTooDeep(text) ? undefined : JSON.parse(text)
  } catch {
    // Said below.
  }
  if (!Array.isArray(list)) throw invalid(files, 'manifest.json is no list')
  return list.map((one, index) => readEntry(files, one, index))
}

function noImageArchive(files: FileSet): BuilderError {
  const isOld = files.find('repositories') !== undefined
  const what = isOld ? 'was written by a Docker before 1.10, which kept no manifest.json' : 'is no archive of images'
  return new BuilderError('OCI_ARCHIVE_INVALID', `${files.name} ${what}`, {
    hint: isOld
      ? 'load it into a current Docker and save it anew'
      : 'docker save, podman save and tsbuild save write one; tsbuild import takes the files of one image as a tar',
  })
}

function readEntry(files: FileSet, value: unknown, index: number): SavedImage {
  const { Config, RepoTags, Layers } = (value ?? {}) as Record<string, unknown>
  const isTexts = (list: unknown): list is string[] =>
    Array.isArray(list) && list.every((one) => typeof one === 'string')
  if (typeof Config !== 'string') throw invalid(files, `manifest.json: entry ${index} names no Config`)
  if (!isTexts(Layers ?? [])) throw invalid(files, `manifest.json: Layers of entry ${index} are no list of names`)
  if (!isTexts(RepoTags ?? [])) throw invalid(files, `manifest.json: RepoTags of entry ${index} are no list of names`)
  const names = ((RepoTags ?? []) as string[]).map((name) => canonicalName(name))
  return { config: Config, names: [...new Set(names)], layers: (Layers ?? []) as string[] }
}

async function dockerImage(
  files: FileSet,
  { config: path, names, layers: paths }: SavedImage,
  layerOf: (path: string, diffId: DiffID) => Promise<TransportBlob>,
): Promise<SourceImage> {
  const configBytes = await readDocument(files, path, MAX_CONFIG_BYTES)
  const config = describe(configBytes, MediaType.ociConfig)
  // Every tool names it by its digest.
  const named = digestIn(path)
  if (named !== undefined && named !== config.digest)
    throw new BuilderError('OCI_DIGEST_MISMATCH', `the config ${path} of ${files.name} has digest ${config.digest}`, {
      hint: 'the archive is damaged: write or fetch it again',
      details: { expected: named, actual: config.digest },
    })
  const diffIds = parseImageConfig(configBytes).rootfs.diff_ids
  if (diffIds.length !== paths.length)
    throw invalid(files, `manifest.json names ${paths.length} layers, the config ${path} ${diffIds.length}`)
  const layers: TransportBlob[] = []
  for (const [index, layer] of paths.entries()) layers.push(await layerOf(layer, diffIds[index]!))
  const bytes = serializeManifest({
    schemaVersion: 2,
    mediaType: MediaType.ociManifest,
    config,
    layers: layers.map(({ descriptor }) => descriptor),
  })
  const blobs = new Map<Digest, TransportBlob>(layers.map((blob) => [blob.descriptor.digest, blob]))
  blobs.set(config.digest, { descriptor: config, repositories: [], open: () => once(configBytes) })
  return {
    root: { bytes, descriptor: describe(bytes, MediaType.ociManifest) },
    names,
    isMade: true,
    read: async ({ digest }) => (digest === config.digest ? configBytes : undefined),
    blob: ({ digest }) => blobs.get(digest),
  }
}

/** `blobs/sha256/HEX`, `HEX.json`, `HEX.tar`, `sha256:HEX`. */
function digestIn(path: string): Digest | undefined {
  const hex = /(?:^|[/:])([0-9a-f]{64})(?:\.json)?$/.exec(path)?.[1]
  const digest = `sha256:${hex}`
  return isDigest(digest) ? digest : undefined
}

async function readLayer(
  files: FileSet,
  path: string,
  diffId: DiffID,
  context: TransportContext,
): Promise<TransportBlob> {
  const file = files.find(path)
  if (file === undefined) throw missing(files, path)
  const compression = await compressionOf(file)
  if (compression === 'xz' || compression === 'bzip2') return inflatedLayer(file, compression, diffId, context)
  const mediaType = {
    none: MediaType.ociLayer,
    gzip: MediaType.ociLayerGzip,
    zstd: MediaType.ociLayerZstd,
  }[compression]
  const named = path.includes('blobs/sha256/') ? digestIn(path) : undefined
  // What is not compressed has its diffID as digest, which is verified when it is written down.
  const assumed = compression === 'none' ? (diffId as string as Digest) : undefined
  if (named !== undefined && assumed !== undefined && named !== assumed)
    throw new BuilderError(
      'OCI_DIGEST_MISMATCH',
      `layer ${path} of ${files.name} has diffID ${named}, its config says ${diffId}`,
    )
  const digest = named ?? assumed ?? file.digest ?? (await digestOfFile(file, context.signal))
  return archivedBlob(file, { mediaType, digest, size: file.size })
}

async function compressionOf(file: ArchivedFile): Promise<ReturnType<typeof detectCompression>> {
  const handle = await open(file.path)
  try {
    const start = Buffer.alloc(MAGIC_BYTES)
    const { bytesRead } = await handle.read(start, 0, Math.min(file.size, MAGIC_BYTES), file.offset)
    return detectCompression(start.subarray(0, bytesRead))
  } finally {
    await handle.close()
  }
}

function readFile({ path, offset, size }: ArchivedFile): AsyncIterable<Uint8Array> {
  return createReadStream(path, { start: offset, end: offset + size - 1, highWaterMark: READ_BYTES })
}

async function digestOfFile(file: ArchivedFile, signal: AbortSignal): Promise<Digest> {
  const digester = createDigester()
  for await (const chunk of readFile(file)) {
    signal.throwIfAborted()
    digester.update(chunk)
  }
  return digester.digest()
}

/** Docker takes layers in compressions that no manifest can name: they are kept as plain tars. */
async function inflatedLayer(
  file: ArchivedFile,
  compression: 'xz' | 'bzip2',
  diffId: DiffID,
  context: TransportContext,
): Promise<TransportBlob> {
  const directory = await context.temporaryDirectory('inflated')
  const path = `${directory.path}/layer.tar`
  const handle = await open(path, 'wx', 0o600)
  const digester = createDigester()
  let size = 0
  try {
    for await (const chunk of decompress(readFile(file), compression)) {
      context.signal.throwIfAborted()
      await handle.writeFile(chunk)
      digester.update(chunk)
      size += chunk.length
    }
  } finally {
    await handle.close()
  }
  const digest = digester.digest()
  if (digest !== (diffId as string))
    throw new BuilderError('OCI_DIGEST_MISMATCH', `a layer's content has diffID ${digest}, its image says ${diffId}`)
  return archivedBlob({ path, offset: 0, size, digest }, { mediaType: MediaType.ociLayer, digest, size })
}

function invalid(files: FileSet, what: string): BuilderError {
  return new BuilderError('OCI_ARCHIVE_INVALID', `${files.name}: ${what}`, {
    hint: 'the archive is damaged: write or fetch it again',
  })
}

export async function* once(bytes: Uint8Array): AsyncIterable<Uint8Array> {
  yield bytes
}
