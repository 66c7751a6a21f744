import { BuilderError, isTsOciError } from '../base/errors.ts'
import { imageId, isIndexRecord } from '../store/image-id.ts'
import type { ImageRecord, Store, StoredImage } from '../store/types.ts'
import { knownTime, timeOf } from '../oci/created.ts'
import { isDigest, type Digest } from '../oci/digest.ts'
import { parseImageConfig } from '../oci/image-config.ts'
import { parseIndex } from '../oci/image-index.ts'
import { parseManifest } from '../oci/manifest.ts'
import { closestTo } from '../oci/platform-match.ts'
import { formatPlatform, hostPlatform, normalizePlatform, parsePlatform } from '../oci/platform.ts'
import { canonicalName, familiarRepository, formatFamiliar, parseReference, repositoryOf } from '../oci/reference.ts'
import type { Descriptor, ImageConfig, Manifest } from '../oci/types.ts'
import type {
  CommonOptions,
  HistoryRow,
  ImageInspection,
  ImageSummary,
  PlatformOptions,
  RemoveOptions,
  RemoveOutcome,
} from '../build/public-types.ts'
import { sessionOf } from '../build/session.ts'
import { entriesOf, platformsOf } from './image-platforms.ts'
import { removePlatforms } from './remove-platforms.ts'

const DANGLING = '<none>'

/** Every image of the store, newest first. */
export async function images(
  options: CommonOptions & { readonly withPlatforms?: boolean; readonly withLabels?: boolean } = {},
): Promise<readonly ImageSummary[]> {
  await using session = await sessionOf(options)
  const records = [...session.store.images.list()]
  // A digest is the image's, whichever of its names was pulled or pushed.
  const byId = new Map<Digest, string[]>()
  for (const record of records) {
    const id = imageId(record)
    byId.set(id, [...(byId.get(id) ?? []), ...record.repoDigests])
  }
  return records
    .sort((a, b) => b.createdMs - a.createdMs || (a.name < b.name ? -1 : 1))
    .map((record) => ({
      ...summaryOf(session.store, record, byId.get(imageId(record)) ?? []),
      ...(options.withPlatforms === true ? { platforms: platformsOf(session.store, record) } : {}),
      ...(options.withLabels === true ? { labels: labelsOf(session.store, record) } : {}),
    }))
}

/** Of the image that stands for all; none where its config cannot be read. */
export function labelsOf(store: Store, record: ImageRecord): Readonly<Record<string, string>> {
  try {
    return readImage(store, record).config.config?.Labels ?? {}
  } catch (error) {
    if (isTsOciError(error)) return {}
    throw error
  }
}

function summaryOf(store: Store, record: ImageRecord, repoDigests: readonly string[]): ImageSummary {
  const reference = isDangling(record.name) ? undefined : parseReference(record.name)
  return {
    repository: reference === undefined ? DANGLING : familiarRepository(reference),
    tag: reference?.tag ?? DANGLING,
    id: imageId(record),
    digest: record.digest,
    repositoryDigests: reference === undefined ? [] : digestsIn(repositoryOf(reference), repoDigests),
    createdMs: knownTime(record.createdMs),
    sizeBytes: imageSize(store, record.images),
  }
}

function digestsIn(repository: string, repoDigests: readonly string[]): readonly Digest[] {
  const prefix = `${repository}@`
  const digests = repoDigests.filter((one) => one.startsWith(prefix)).map((one) => one.slice(prefix.length))
  return [...new Set(digests.filter(isDigest))]
}

function isDangling(name: string): boolean {
  return name.startsWith(DANGLING)
}

/** The history of an image, newest first, with the size of each layer. */
export async function history(image: string, options: PlatformOptions = {}): Promise<readonly HistoryRow[]> {
  await using session = await sessionOf(options)
  const record = findImage(session.store, image)
  const { config, stored } = readImage(session.store, record, options.platform)
  let layer = 0
  const rows = (config.history ?? []).map((entry): HistoryRow => {
    const id = entry.empty_layer ? undefined : stored.layerIds[layer++]
    return {
      id: '<missing>',
      createdMs: knownTime(timeOf(entry.created)),
      createdBy: entry.created_by ?? '',
      sizeBytes: id === undefined ? 0 : contentSize(session.store, id),
      comment: entry.comment ?? '',
      emptyLayer: entry.empty_layer ?? false,
    }
  })
  rows.reverse()
  return rows.map((row, index) => (index === 0 ? { ...row, id: imageId(record) } : row))
}

/** Bytes of a layer's files, as Docker counts; of its tar or blob where no table is at hand. */
function contentSize(store: Store, layerId: string): number {
  const size = store.layers.contentSizeBytes(layerId)
  if (size !== undefined) return size
  const record = store.layers.get(layerId)
  return record?.tarSizeBytes ?? record?.blobs[0]?.descriptor.size ?? record?.remote?.descriptor.size ?? 0
}

/** One definition for listings, inspection and history: the layers of an image add up to it; what several share counts once. */
function imageSize(store: Store, images: readonly StoredImage[]): number {
  const ids = images.length === 1 ? images[0]!.layerIds : new Set(images.flatMap(({ layerIds }) => layerIds))
  const known = [...ids].reduce((sum, id) => sum + contentSize(store, id), 0)
  return images.reduce((sum, { layerIds, sizeBytes }) => sum + (layerIds.length === 0 ? sizeBytes : 0), known)
}

/** What `docker inspect` says of an image; of several, of that for the platform. */
export async function inspect(image: string, options: PlatformOptions = {}): Promise<ImageInspection> {
  await using session = await sessionOf(options)
  const { store } = session
  const record = findImage(store, image)
  const { config, stored } = readImage(store, record, options.platform)
  const part = partOf(store, record, options.platform === undefined ? undefined : stored)
  const id = imageId(store.images.get(record.name) ?? record)
  const names = store.images.list().filter((other) => imageId(other) === id && !isDangling(other.name))
  const last = config.history?.at(-1)
  const layerHistory = (config.history ?? []).filter((entry) => !entry.empty_layer)
  return {
    Id: part?.digest ?? imageId(record),
    RepoTags: names.map((other) => formatFamiliar(parseReference(other.name))),
    RepoDigests: [...new Set(names.flatMap((other) => other.repoDigests))].map((name) =>
      formatFamiliar(parseReference(name)),
    ),
    Parent: '',
    Comment: last?.comment ?? '',
    Created: config.created ?? '',
    DockerVersion: '',
    Author: config.author ?? '',
    Config: { ...config.config },
    Architecture: config.architecture,
    ...(config.variant === undefined ? {} : { Variant: config.variant }),
    Os: config.os,
    Size: imageSize(store, [stored]),
    RootFS: { Type: 'layers', Layers: config.rootfs.diff_ids },
    Metadata: { LastTagTime: new Date(record.taggedMs ?? record.createdMs).toISOString() },
    Descriptor: { ...(part ?? descriptorOf(store, record)) },
    Layers: stored.layerIds.map((layerId, index) => ({
      DiffID: config.rootfs.diff_ids[index],
      Size: contentSize(store, layerId),
      CreatedBy: layerHistory[index]?.created_by ?? '',
    })),
  }
}

/** Of the one image that is asked for of an index, its entry there. */
function partOf(store: Store, record: ImageRecord, asked: StoredImage | undefined): Descriptor | undefined {
  const whole = store.images.get(record.name) ?? record
  const image = whole.digest === record.digest ? asked : record.images[0]
  if (image === undefined || !isIndexRecord(whole)) return undefined
  return entriesOf(store, whole).find(({ digest }) => digest === image.manifestDigest)
}

/** Of the manifest of its one image, or of the index. */
function descriptorOf(store: Store, record: ImageRecord): Descriptor {
  const { digest } = record
  const bytes = store.blobs.read(digest)
  const { mediaType } = isIndexRecord(record) ? parseIndex(bytes) : parseManifest(bytes).manifest
  return { mediaType, digest, size: bytes.length }
}

/** Gives an image another name. */
export async function tag(source: string, target: string, options: CommonOptions = {}): Promise<void> {
  await using session = await sessionOf(options)
  const { store } = session
  // Read and written in one transaction: what another process removes meanwhile does not come back.
  store.transaction(() => {
    const record = findImage(store, source)
    if (parseReference(target).digest !== undefined)
      throw new BuilderError('OCI_REFERENCE_INVALID', 'refusing to create a tag with a digest reference')
    store.images.put({ ...record, name: canonicalName(target), taggedMs: Date.now() })
  })
}

/** Takes a name from an image; an image without names goes, with what nothing else needs. */
export async function remove(image: string, options: RemoveOptions = {}): Promise<RemoveOutcome> {
  await using session = await sessionOf(options)
  const { store } = session
  const { platforms = [], force = false } = options
  return store.transaction(() => {
    if (platforms.length === 0) return removeNames(store, image, force)
    return removePlatforms(store, findImage(store, image), platforms, force)
  })
}

/** In one transaction: a name that moves to another image meanwhile is not that image's. */
function removeNames(store: Store, image: string, isForced: boolean): RemoveOutcome {
  const record = findImage(store, image)
  const isById = isDangling(record.name) || !nameMatches(record.name, image)
  const id = imageId(record)
  const names = store.images.list().filter((other) => imageId(other) === id)
  if (names.length === 0) throw noSuchImage(image, `it is one of the images of ${record.name}, which go together`)
  if (isById && names.length > 1 && !isForced) {
    throw new BuilderError(
      'OCI_IMAGE_IN_USE',
      `unable to delete ${image} (must be forced) - image is referenced in multiple repositories`,
      { hint: 'remove its names one by one, or force it' },
    )
  }
  const going = isById ? names : [record]
  for (const one of going) store.images.remove(one.name)
  const isLast = going.length === names.length
  return {
    untagged: going.filter((one) => !isDangling(one.name)).map((one) => formatFamiliar(parseReference(one.name))),
    deleted: isLast ? [id] : [],
  }
}

function nameMatches(name: string, text: string): boolean {
  try {
    return canonicalName(text) === name
  } catch {
    return false
  }
}

/**
 * By a digest of one image of several: that one alone, under the name of all.
 * @throws OCI_IMAGE_NOT_FOUND
 */
export function findImage(store: Store, nameOrId: string): ImageRecord {
  // A short beginning of an id may be a name as well, which counts first.
  const found = store.images.find(asStored(nameOrId)) ?? store.images.find(nameOrId)
  if (found) return askedPart(found, nameOrId)
  throw noSuchImage(nameOrId, 'tsbuild images lists what is there')
}

/** A digest of one image of several means that one alone. */
function askedPart(record: ImageRecord, nameOrId: string): ImageRecord {
  const digest = isDigest(nameOrId) ? nameOrId : nameOrId.slice(nameOrId.indexOf('@') + 1)
  if (!isIndexRecord(record) || digest === record.digest) return record
  const part = record.images.find((one) => one.configDigest === digest || one.manifestDigest === digest)
  return part === undefined ? record : { ...record, digest: part.manifestDigest, images: [part] }
}

function noSuchImage(nameOrId: string, hint: string): BuilderError {
  return new BuilderError('OCI_IMAGE_NOT_FOUND', `No such image: ${nameOrId}`, { hint })
}

function asStored(text: string): string {
  if (isDigest(text) || /^(sha256:)?[0-9a-f]{12,64}$/.test(text)) return text
  try {
    return canonicalName(text)
  } catch {
    return text
  }
}

/** An image of the store, read. */
export interface ReadImage {
  readonly stored: StoredImage
  readonly manifest: Manifest
  readonly config: ImageConfig
}

/**
 * @param platform of which image where there are several; default: this machine's, else the first
 * @throws OCI_IMAGE_NOT_FOUND, OCI_PLATFORM_INVALID
 */
export function readImage(store: Store, record: ImageRecord, platform?: string): ReadImage {
  const { images, name } = record
  if (platform === undefined && images.length === 1) return readStored(store, images[0])
  const wanted = platform === undefined ? hostPlatform() : parsePlatform(platform)
  const all = images.map((stored) => readStored(store, stored))
  const best = closestTo(wanted, all)
  if (best !== undefined) return best
  if (platform === undefined) return all[0]!
  throw new BuilderError(
    'OCI_IMAGE_NOT_FOUND',
    `image with reference ${name} was found but does not provide the specified platform (${formatPlatform(wanted)})`,
    { hint: `it has ${all.map(({ config }) => formatPlatform(normalizePlatform(config))).join(', ')}` },
  )
}

/** Manifest and config of one image. */
export function readStored(store: Store, stored: StoredImage): ReadImage {
  return {
    stored,
    manifest: parseManifest(store.blobs.read(stored.manifestDigest)).manifest,
    config: parseImageConfig(store.blobs.read(stored.configDigest)),
  }
}
