import { createReadStream } from 'node:fs'
import { BuilderError } from '../../base/errors.ts'
import type { LayerForms } from '../../layers/types.ts'
import { isDigest, type Digest } from '../../oci/digest.ts'
import { parseImageConfig } from '../../oci/image-config.ts'
import { looksLikeIndex, parseIndex } from '../../oci/image-index.ts'
import { parseManifest } from '../../oci/manifest.ts'
import { MediaType } from '../../oci/media-types.ts'
import { canonicalName, parseReference, repositoryOf } from '../../oci/reference.ts'
import type { Descriptor, ImageLayer } from '../../oci/types.ts'
import { isDangling } from '../../store/images.ts'
import type { ImageRecord, Store } from '../../store/types.ts'
import type { SourceImage, TransportBlob, TransportContext } from '../types.ts'

const READ_BYTES = 1 << 20

/** An image of the store by name, id or digest. @throws OCI_IMAGE_NOT_FOUND */
export async function readStoreImage(nameOrId: string, context: TransportContext): Promise<SourceImage> {
  const store = await context.store()
  const record = findRecord(store, nameOrId)
  const layers = layersOf(store, record)
  const bytes = store.blobs.read(record.digest)
  const { mediaType } = looksLikeIndex(bytes) ? parseIndex(bytes) : parseManifest(bytes)
  return {
    root: { bytes, descriptor: { mediaType, digest: record.digest, size: bytes.length } },
    names: nameIn(record, nameOrId),
    // Its layers are plain until they leave the machine: then they are sent as a push sends them.
    isMade: true,
    read: async ({ digest }) => (store.blobs.has(digest) ? store.blobs.read(digest) : undefined),
    blob(descriptor) {
      const layer = layers.get(descriptor.digest)
      if (layer !== undefined) return layerBlob(store, layer, descriptor, context)
      return store.blobs.has(descriptor.digest) ? documentBlob(store, descriptor) : undefined
    },
  }
}

/** By a digest of one image of several: that one alone. */
function findRecord(store: Store, nameOrId: string): ImageRecord {
  const record = store.images.find(asStored(nameOrId)) ?? store.images.find(nameOrId)
  if (record === undefined)
    throw new BuilderError('OCI_IMAGE_NOT_FOUND', `No such image: ${nameOrId}`, {
      hint: 'tsbuild images lists what is there',
    })
  const digest = isDigest(nameOrId) ? nameOrId : nameOrId.slice(nameOrId.indexOf('@') + 1)
  if (digest === record.digest) return record
  const part = record.images.find((one) => one.configDigest === digest || one.manifestDigest === digest)
  return part === undefined ? record : { ...record, digest: part.manifestDigest, images: [part] }
}

function asStored(text: string): string {
  try {
    return isDigest(text) || /^(sha256:)?[0-9a-f]{12,64}$/.test(text) ? text : canonicalName(text)
  } catch {
    return text
  }
}

/** An image that was asked for by its id has no name where it goes, as with docker save. */
function nameIn({ name }: ImageRecord, nameOrId: string): readonly string[] {
  return isDangling(name) || asStored(nameOrId) !== name || name.includes('@') ? [] : [name]
}

/** A layer of an image, and the row that has it. */
interface StoredLayer extends ImageLayer {
  readonly id: string
}

function layersOf(store: Store, { images }: ImageRecord): ReadonlyMap<Digest, StoredLayer> {
  const layers = new Map<Digest, StoredLayer>()
  for (const { manifestDigest, configDigest, layerIds } of images) {
    const { manifest } = parseManifest(store.blobs.read(manifestDigest))
    const diffIds = parseImageConfig(store.blobs.read(configDigest)).rootfs.diff_ids
    for (const [index, descriptor] of manifest.layers.entries()) {
      const id = layerIds[index]!
      store.lease(id)
      layers.set(descriptor.digest, { descriptor, diffId: diffIds[index]!, id })
    }
  }
  return layers
}

function documentBlob(store: Store, descriptor: Descriptor): TransportBlob {
  return {
    descriptor,
    repositories: [],
    async *open(_signal, offset = 0) {
      yield store.blobs.read(descriptor.digest).subarray(offset)
    },
  }
}

/** A base that was not fetched yet is fetched when somebody reads it. */
function layerBlob(store: Store, layer: StoredLayer, descriptor: Descriptor, context: TransportContext): TransportBlob {
  const remote = store.layers.get(layer.id)?.remote?.references ?? []
  const isPlain = descriptor.mediaType === MediaType.ociLayer || descriptor.mediaType === MediaType.dockerLayer
  const ready = (): Promise<void> => ensureBlob(store, layer, context)
  return {
    descriptor,
    repositories: [...new Set(remote.map((reference) => repositoryOf(parseReference(reference))))],
    async *open(signal, offset = 0) {
      await ready()
      yield* fileOf(store, descriptor.digest, offset, signal)
    },
    async file() {
      await ready()
      return { path: store.blobs.path(descriptor.digest), isVerified: store.blobs.isFresh(descriptor.digest) }
    },
    ...(isPlain ? { compressed: () => compressedBlob(store, layer, context) } : {}),
  }
}

function fileOf(
  store: Store,
  digest: Digest,
  start: number,
  signal: AbortSignal | undefined,
): AsyncIterable<Uint8Array> {
  const options = { start, highWaterMark: READ_BYTES, ...(signal === undefined ? {} : { signal }) }
  return createReadStream(store.blobs.path(digest), options)
}

async function ensureBlob(
  store: Store,
  { descriptor, diffId, id }: StoredLayer,
  context: TransportContext,
): Promise<void> {
  if (store.blobs.has(descriptor.digest)) return
  const forms = await context.forms()
  if (descriptor.digest === (diffId as string)) await forms.tar(forms.load(id))
  else await forms.imageBlob(forms.load(id), { descriptor, diffId }, undefined)
}

/** As a push sends it: compressed once, then kept. */
async function compressedBlob(store: Store, layer: StoredLayer, context: TransportContext): Promise<TransportBlob> {
  const forms: LayerForms = await context.forms()
  const handle = forms.load(layer.id)
  const descriptor = await forms.blob(handle, { compression: 'gzip', force: !handle.isForeign })
  return {
    descriptor,
    repositories: [],
    open: (signal, offset = 0) => fileOf(store, descriptor.digest, offset, signal),
    file: async () => ({
      path: store.blobs.path(descriptor.digest),
      isVerified: store.blobs.isFresh(descriptor.digest),
    }),
  }
}
