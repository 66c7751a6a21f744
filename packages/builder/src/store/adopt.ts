import type { DiffID, Digest } from '../oci/digest.ts'
import { timeOf } from '../oci/created.ts'
import { parseImageConfig } from '../oci/image-config.ts'
import { parseIndex } from '../oci/image-index.ts'
import { parseManifest } from '../oci/manifest.ts'
import { isIndexType, isManifestType, layerCompression } from '../oci/media-types.ts'
import { canonicalName } from '../oci/reference.ts'
import { indexEntries, isBesideImages } from '../oci/index-entries.ts'
import type { Descriptor, HistoryEntry } from '../oci/types.ts'
import type { BlobStore, ImageRecord, LayerRecord } from './types.ts'

/** An image that another tool has put into the layout, as rows. */
export interface ForeignImage {
  readonly record: ImageRecord
  readonly layers: readonly LayerRecord[]
}

/** Reads an entry of `index.json` as an image; undefined when it is none (an artifact, a foreign platform, damaged). */
export function readForeignImage(
  blobs: BlobStore,
  entry: Descriptor,
  name: string | undefined,
): ForeignImage | undefined {
  try {
    if (isIndexType(entry.mediaType)) {
      return readIndex(blobs, entry, name)
    }
    return isManifestType(entry.mediaType) ? readImage(blobs, entry, name) : undefined
  } catch {
    // Not ours to repair, and no reason to refuse the whole store.
    return undefined
  }
}

/** The images of it that are here: an index may name more. */
function readIndex(blobs: BlobStore, top: Descriptor, name: string | undefined): ForeignImage | undefined {
  const entries = indexEntries(blobs.read(top.digest), ({ digest }) =>
    blobs.has(digest) ? blobs.read(digest) : undefined,
  )
  const found = entries
    .filter((entry) => !isBesideImages(entry) && blobs.has(entry.digest))
    .flatMap((entry) => readIfImage(blobs, entry, name) ?? [])
  const { record } = found[0] ?? {}
  if (record === undefined) return undefined
  const [first, ...more] = found.flatMap((one) => one.record.images)
  return {
    layers: found.flatMap(({ layers }) => layers),
    record: {
      ...record,
      name: readName(name) ?? `<none>@${top.digest}`,
      digest: top.digest,
      images: [first!, ...more],
    },
  }
}

/** Undefined for an image that cannot be read: the others beside it can. */
function readIfImage(blobs: BlobStore, entry: Descriptor, name: string | undefined): ForeignImage | undefined {
  try {
    return readImage(blobs, entry, name)
  } catch {
    return undefined
  }
}

function readImage(blobs: BlobStore, entry: Descriptor, name: string | undefined): ForeignImage {
  const { manifest } = parseManifest(blobs.read(entry.digest), entry.mediaType)
  const config = parseImageConfig(blobs.read(manifest.config.digest))
  const createdMs = timeOf(config.created)
  if (config.rootfs.diff_ids.length !== manifest.layers.length) throw new Error('layers and diff_ids differ in number')
  // Once: layers and history may be thousands each.
  const history = (config.history ?? []).filter((item) => item.empty_layer !== true)
  const layers = manifest.layers.map((descriptor, index) =>
    layerRow(blobs, descriptor, { diffId: config.rootfs.diff_ids[index] as DiffID, entry: history[index], createdMs }),
  )
  return {
    layers,
    record: {
      name: readName(name) ?? `<none>@${manifest.config.digest}`,
      digest: entry.digest,
      images: [
        {
          manifestDigest: entry.digest,
          configDigest: manifest.config.digest,
          layerIds: layers.map((layer) => layer.id),
          sizeBytes: manifest.layers.reduce((sum, layer) => sum + layer.size, 0),
          isComplete: manifest.layers.every((layer) => blobs.has(layer.digest)),
        },
      ],
      createdMs,
      origin: 'adopted',
      repoDigests: [],
    },
  }
}

function readName(name: string | undefined): string | undefined {
  try {
    return name === undefined ? undefined : canonicalName(name)
  } catch {
    return undefined
  }
}

/** For listings of the cache: of a text of megabytes the beginning. */
const MAX_DESCRIPTION_CHARS = 4096

interface LayerFacts {
  readonly diffId: DiffID
  readonly entry: HistoryEntry | undefined
  readonly createdMs: number
}

function layerRow(blobs: BlobStore, descriptor: Descriptor, { diffId, entry, createdMs }: LayerFacts): LayerRecord {
  const isTar = layerCompression(descriptor.mediaType) === 'none' && (descriptor.digest as string) === diffId
  const isHere = blobs.has(descriptor.digest)
  return {
    id: diffId,
    diffId,
    createdMs: entry?.created === undefined ? createdMs : timeOf(entry.created),
    description: (entry?.created_by ?? '').slice(0, MAX_DESCRIPTION_CHARS),
    blobs: isHere && !isTar ? [{ descriptor, origin: 'adopted' }] : [],
    hasTar: isHere && isTar,
    hasTable: false,
    ...(isTar ? { tarSizeBytes: descriptor.size } : {}),
  }
}

/** Every blob that an entry leads to, itself included: what must stay for it. */
export function reachableBlobs(blobs: BlobStore, entry: Descriptor, seen: Set<Digest> = new Set()): Set<Digest> {
  if (seen.has(entry.digest)) return seen
  seen.add(entry.digest)
  try {
    if (isIndexType(entry.mediaType)) {
      for (const child of parseIndex(blobs.read(entry.digest), entry.mediaType).index.manifests)
        reachableBlobs(blobs, child, seen)
    } else if (isManifestType(entry.mediaType)) {
      const { manifest } = parseManifest(blobs.read(entry.digest), entry.mediaType)
      for (const child of [
        manifest.config,
        ...manifest.layers,
        ...(manifest.subject === undefined ? [] : [manifest.subject]),
      ])
        seen.add(child.digest)
    }
  } catch {
    // Missing or damaged: nothing below it can be named.
  }
  return seen
}
