import { runAll } from '../../base/run-all.ts'
import { fetchLayer, type LayerFetcher } from '../../layers/fetch.ts'
import { toStored } from '../../layers/stored-table.ts'
import { BuilderError } from '../../base/errors.ts'
import { timeOf } from '../../oci/created.ts'
import type { Digest, DiffID } from '../../oci/digest.ts'
import { parseImageConfig } from '../../oci/image-config.ts'
import type { Descriptor } from '../../oci/types.ts'
import { imageId } from '../../store/image-id.ts'
import { putIndexRecord } from '../../store/index-record.ts'
import type { ImageRecord, Store, StoredImage } from '../../store/types.ts'
import { writtenImage } from '../layout/layout-files.ts'
import type { Bundle, BundleImage, TransportBlob, TransportContext, WrittenImage } from '../types.ts'

/**
 * Takes an image into the store: each layer is verified against its digest and its diffID, and its table is made while its
 * bytes pass. Nothing has a name before all of it is there; what a failed one leaves is in no row, and goes with the next
 * prune.
 */
export async function writeToStore(bundle: Bundle, context: TransportContext): Promise<StoredImageName> {
  const store = await context.store()
  const images = bundle.images.map((image) => ({ image, config: parseImageConfig(image.config.bytes) }))
  const layers = new Map<DiffID, Descriptor>()
  for (const { image, config } of images) {
    checkLayerCount(image, config.rootfs.diff_ids.length)
    for (const [index, diffId] of config.rootfs.diff_ids.entries()) layers.set(diffId, image.layers[index]!)
  }
  const blobs = new Map(bundle.blobs.map((blob) => [blob.descriptor.digest, blob]))
  const works = [...layers].map(([diffId, descriptor]) => async (stop: AbortSignal) => {
    await storeLayer(store, { diffId, descriptor, blob: blobs.get(descriptor.digest) }, context, stop)
  })
  // A few at once, whatever number there is: each may be inflated and hashed.
  await inTurns(works, 3, context.signal)
  // What stands in an index beside its images: attestations and their like.
  const known = new Set(
    [...layers.values(), ...images.map(({ image }) => image.config.descriptor)].map((one) => one.digest),
  )
  const others = bundle.blobs.filter(({ descriptor }) => !known.has(descriptor.digest))
  for (const blob of others) await bringBlob(store, blob, undefined, context, context.signal)
  const record = putRecord(store, bundle, images)
  return { ...writtenImage(bundle), id: imageId(record) }
}

function checkLayerCount({ layers, manifest }: BundleImage, count: number): void {
  if (layers.length === count) return
  throw new BuilderError(
    'OCI_MANIFEST_INVALID',
    `manifest ${manifest.descriptor.digest} has ${layers.length} layers, its config ${count}`,
    { hint: 'the image is damaged: take it from elsewhere or make it again' },
  )
}

async function inTurns(
  works: readonly ((signal: AbortSignal) => Promise<void>)[],
  width: number,
  signal: AbortSignal,
): Promise<void> {
  const queue = works.values()
  const run = async (stop: AbortSignal): Promise<void> => {
    for (const work of queue) {
      stop.throwIfAborted()
      await work(stop)
    }
  }
  await runAll(
    Array.from({ length: Math.min(width, works.length) }, () => run),
    signal,
  )
}

interface LayerToStore {
  readonly diffId: DiffID
  readonly descriptor: Descriptor
  readonly blob: TransportBlob | undefined
}

async function storeLayer(
  store: Store,
  { diffId, descriptor, blob }: LayerToStore,
  context: TransportContext,
  signal: AbortSignal,
): Promise<void> {
  const id = store.layers.findByDiffId(diffId)?.id ?? diffId
  // Said before its row is looked at: prune leaves it then.
  store.lease(id)
  const known = store.layers.get(id)
  const isPlain = descriptor.digest === (diffId as string)
  const isNoted = isPlain ? known?.hasTar : known?.blobs.some((one) => one.descriptor.digest === descriptor.digest)
  if (isNoted === true && known?.hasTable === true && store.blobs.size(descriptor.digest) === descriptor.size) return
  const fetcher: LayerFetcher = async ({ onChunk }) => {
    if (blob !== undefined) return bringBlob(store, blob, onChunk, context, signal)
    throw new BuilderError('OCI_BLOB_NOT_FOUND', `layer ${descriptor.digest} is named by an image and is not there`, {
      hint: 'a foreign layer of Windows is not supported; else the source is cut off',
    })
  }
  const record = {
    id,
    diffId,
    createdMs: known?.createdMs ?? 0,
    description: known?.description ?? 'loaded',
    blobs: isPlain ? [] : [{ descriptor, origin: 'pulled' }],
    hasTar: isPlain,
    ...(isPlain ? { tarSizeBytes: descriptor.size } : {}),
  }
  const toFetch = { ...record, hasTable: false, remote: { descriptor, references: [] } }
  const { entries } = await fetchLayer({ fetcher, store, signal }, { record: toFetch, progressVertex: undefined })
  store.layers.writeTable(id, toStored(entries!))
  store.layers.put({ ...record, hasTable: true })
}

/** Brings a blob into the store, and shows its bytes on their way. False: it was there already, and nothing was shown. */
async function bringBlob(
  store: Store,
  blob: TransportBlob,
  onChunk: ((chunk: Uint8Array) => void | Promise<void>) | undefined,
  context: TransportContext,
  signal: AbortSignal,
): Promise<boolean> {
  const { descriptor } = blob
  const { digest, size: total } = descriptor
  if (store.blobs.size(digest) === total) return false
  const path = blob.take?.()
  if (path !== undefined) {
    // Its bytes are read once more, from memory: the kernel has just had them.
    store.blobs.adopt(path, digest)
    context.report(digest, { current: total, total, isDone: true })
    return false
  }
  const writer = store.blobs.createWriter()
  let failure: { readonly error: unknown } | undefined
  let current = 0
  try {
    for await (const chunk of blob.open(signal)) {
      const written = writer.write(chunk)
      if (written !== undefined) await written
      // Damaged bytes trip their reader before their digest is known: that is the error then.
      if (failure === undefined) await showTo(onChunk, chunk).catch((error: unknown) => void (failure = { error }))
      current += chunk.length
      if (current > total) break
      context.report(digest, { current, total })
    }
  } catch (error) {
    await writer.abort()
    throw error
  }
  await writer.commit({ digest, size: total })
  if (failure !== undefined) throw failure.error
  context.report(digest, { current: total, total, isDone: true })
  return true
}

async function showTo(
  onChunk: ((chunk: Uint8Array) => void | Promise<void>) | undefined,
  chunk: Uint8Array,
): Promise<void> {
  await onChunk?.(chunk)
}

/** With the id by which the store knows it. */
type StoredImageName = WrittenImage & { readonly id: Digest }

type ReadImage = { readonly image: BundleImage; readonly config: ReturnType<typeof parseImageConfig> }

/** The documents and the rows, in this order: rows name what is on the disk. */
function putRecord(store: Store, bundle: Bundle, read: readonly ReadImage[]): NewRecord {
  const [first, ...more] = read
  if (first === undefined)
    throw new BuilderError(
      'OCI_MEDIA_TYPE_UNSUPPORTED',
      `${bundle.root.descriptor.digest} is no image, but an artifact`,
      { hint: 'the store keeps images; tools such as oras fetch artifacts' },
    )
  for (const { bytes } of [bundle.root, ...bundle.children]) store.blobs.put(bytes)
  for (const { image } of read) store.blobs.put(image.config.bytes)
  store.sync()
  const record: NewRecord = {
    digest: bundle.root.descriptor.digest,
    images: [storedImage(store, first), ...more.map((one) => storedImage(store, one))],
    createdMs: timeOf(first.config.created),
    origin: 'pulled',
  }
  const id = imageId(record)
  store.transaction(() => {
    for (const name of bundle.names)
      putIndexRecord(store, { ...record, name, repoDigests: knownDigests(store, name, record.digest) })
    // An image that has a name needs no row without one.
    const isListed = store.images.list().some((one) => imageId(one) === id)
    if (!isListed) putIndexRecord(store, { ...record, name: `<none>@${id}`, repoDigests: [] })
  })
  return record
}

type NewRecord = Omit<ImageRecord, 'name' | 'repoDigests'>

function knownDigests(store: Store, name: string, digest: string): readonly string[] {
  const known = store.images.get(name)
  return known?.digest === digest ? known.repoDigests : []
}

function storedImage(store: Store, { image, config }: ReadImage): StoredImage {
  const layerIds = config.rootfs.diff_ids.map((diffId) => store.layers.findByDiffId(diffId)?.id ?? diffId)
  const sizes = layerIds.map((id, index) => store.layers.get(id)?.tarSizeBytes ?? image.layers[index]!.size)
  return {
    manifestDigest: image.manifest.descriptor.digest,
    configDigest: image.config.descriptor.digest,
    layerIds,
    sizeBytes: sizes.reduce((sum, size) => sum + size, 0),
    isComplete: true,
  }
}
