import { withRoom } from '../base/disk-errors.ts'
import { setImmediate } from 'node:timers/promises'
import type { ImageToPush, PushLayer } from '../exporters/types.ts'
import { imageId, isIndexRecord } from '../store/image-id.ts'
import type { ImageRecord, Store } from '../store/types.ts'
import type { LayerForms, LayerHandle } from '../layers/types.ts'
import { layerFormsOf } from './layer-forms.ts'
import type { MissingOptions } from './push-missing.ts'
import { findImage, readImage, readStored, type ReadImage } from './images.ts'
import { internalStep } from '../build/internal-step.ts'
import { digestOf, type Digest } from '../oci/digest.ts'
import { parseIndex, serializeIndex } from '../oci/image-index.ts'
import { serializeManifest } from '../oci/manifest.ts'
import { MediaType, toFamily } from '../oci/media-types.ts'
import {
  canonicalName,
  formatFamiliar,
  parseReference,
  registryReference,
  repositoryOf,
  withDefaultTag,
} from '../oci/reference.ts'
import type { Descriptor } from '../oci/types.ts'
import type { ProgressSink } from '../base/progress.ts'
import type { PushOptions, PushOutcome } from '../build/public-types.ts'
import { sessionOf } from '../build/session.ts'
import type { Session } from '../build/session-types.ts'
import { runAll } from '../base/run-all.ts'
import { greetRegistry, pushWith, sendBlobsTo, type BlobSender } from '../build/transfers.ts'

/**
 * Sends an image of the store to the registry of its name, or to another name; several images with their index. Layers
 * that were made here are compressed once, then kept.
 */
export async function push(image: string, options: PushOptions = {}): Promise<PushOutcome> {
  const sink: ProgressSink = options.onProgress ?? (() => undefined)
  await using session = await sessionOf(options)
  const { store, signal } = session
  const record = findImage(store, image)
  const target = options.destination ?? image
  // First of all: what comes before the first blob leaves the loop no time to send a byte.
  greetRegistry(session, canonicalName(target))
  const { platform } = options
  const isWhole = platform === undefined && isIndexRecord(record)
  const chosen = isWhole
    ? record.images.map((stored) => readStored(store, stored))
    : [readImage(store, record, platform)]
  return await internalStep(sink, `pushing ${formatFamiliar(withDefaultTag(parseReference(target)))}`, (reportStatus) =>
    withRoom(store.root, async () => {
      const name = canonicalName(target)
      await setImmediate()
      const sender = sendBlobsTo(session, name, reportStatus)
      const parts = { store, forms: layerFormsOf(session, sink), sender, origins: originsOf(record) }
      // Asked first: nothing is sent where not all of it can be.
      const present = isWhole ? await bringRest(session, record, { target: name, sender, signal }) : undefined
      const images = await sendImages(parts, chosen, signal)
      const root = isWhole ? rewrittenIndex(store, record, images) : images[0]!.manifest
      const request = { reference: name, byDigest: false, isInsecure: false, root, images, present, signal }
      await pushWith(session, reportStatus)(request)
      const repoDigest = `${repositoryOf(parseReference(name))}@${root.descriptor.digest}`
      // The name may stand for another image by now: that one was not pushed.
      store.images.update(record.name, (current) =>
        imageId(current) === imageId(record) ? withRepoDigest(current, repoDigest) : undefined,
      )
      return { name, digest: root.descriptor.digest, sizeBytes: root.bytes.length }
    }),
  )
}

interface SendParts {
  readonly store: Store
  readonly forms: LayerForms
  readonly sender: BlobSender
  /** Repositories that have the image, or had it. */
  readonly origins: readonly string[]
}

function originsOf({ repoDigests }: ImageRecord): readonly string[] {
  return [...new Set(repoDigests.map((one) => repositoryOf(parseReference(one))))]
}

/**
 * Brings the blobs of images to a repository: all beside each other, one that several have once. The registry answers
 * while layers are compressed.
 */
async function sendImages(
  parts: SendParts,
  chosen: readonly ReadImage[],
  signal: AbortSignal,
): Promise<readonly ImageToPush[]> {
  const layers = new Map(chosen.flatMap((image) => layersOf(image)).map((layer) => [keyOf(layer), layer] as const))
  const configWorks = chosen.map(({ manifest: { config } }) => async (stop: AbortSignal) => {
    await parts.sender.send(config, { repositories: parts.origins, signal: stop })
  })
  const sent = new Map<string, PushLayer>()
  const layerWorks = [...layers].map(([key, layer]) => async (stop: AbortSignal) => {
    sent.set(key, await sendLayer(parts, layer, stop))
  })
  await runAll([...configWorks, ...layerWorks], signal)
  return chosen.map((image) => {
    const pushed = layersOf(image).map((layer) => sent.get(keyOf(layer))!)
    return { ...documentsOf(parts.store, image, pushed), layers: pushed }
  })
}

interface LayerToSend {
  readonly id: string
  /** As the manifest in the store has it. */
  readonly descriptor: Descriptor
}

function layersOf({ stored, manifest }: ReadImage): readonly LayerToSend[] {
  return stored.layerIds.map((id, index) => ({ id, descriptor: manifest.layers[index]! }))
}

/** A layer may be plain in one image and as it was pulled in another. */
function keyOf({ id, descriptor }: LayerToSend): string {
  return `${id} ${descriptor.digest} ${descriptor.mediaType}`
}

async function sendLayer(
  { store, forms, sender }: SendParts,
  { id, descriptor: before }: LayerToSend,
  stop: AbortSignal,
): Promise<PushLayer> {
  const isOfDocker = before.mediaType === MediaType.dockerLayer
  const isPlain = isOfDocker || before.mediaType === MediaType.ociLayer
  const known = store.layers.get(id)
  const begun = isPlain && known?.blobs.length === 0 ? sender.begin(stop) : undefined
  const sent = isPlain ? await gzipOf(forms, forms.load(id)) : before
  const descriptor = isOfDocker ? { ...sent, mediaType: toFamily(sent.mediaType, 'docker') } : sent
  const repositories = (known?.remote?.references ?? []).flatMap((one) => registryReference(one) ?? [])
  await sender.send(descriptor, { repositories, begun, signal: stop })
  return { descriptor, repositories, open: () => emptyStream() }
}

/** Config and manifest over layers as they are sent. */
function documentsOf(
  store: Store,
  { stored, manifest }: ReadImage,
  pushed: readonly PushLayer[],
): Pick<ImageToPush, 'config' | 'manifest'> {
  const layers = pushed.map(({ descriptor }) => descriptor)
  const isAsStored = layers.every((layer, index) => layer.digest === manifest.layers[index]!.digest)
  const bytes = isAsStored ? store.blobs.read(stored.manifestDigest) : serializeManifest({ ...manifest, layers })
  return {
    manifest: { bytes, descriptor: { mediaType: manifest.mediaType, digest: digestOf(bytes), size: bytes.length } },
    config: { bytes: store.blobs.read(stored.configDigest), descriptor: manifest.config },
  }
}

/** What the index of the store names besides the images that are here. @returns undefined where there is nothing more */
async function bringRest(
  session: Session,
  record: ImageRecord,
  options: Pick<MissingOptions, 'target' | 'sender' | 'signal'>,
): Promise<ReadonlySet<Digest> | undefined> {
  const { index } = parseIndex(session.store.blobs.read(record.digest))
  const here = new Set(record.images.map(({ manifestDigest }) => manifestDigest))
  const rest = index.manifests.filter((entry) => !here.has(entry.digest))
  if (rest.length === 0) return undefined
  const { bringMissing } = await import('./push-missing.ts')
  return await bringMissing(session, rest, { ...options, origins: originsOf(record) })
}

/** The index of the store over the manifests as they are sent; what else it names is there by now. */
function rewrittenIndex(store: Store, record: ImageRecord, images: readonly ImageToPush[]): ImageToPush['manifest'] {
  const sent = new Map(record.images.map(({ manifestDigest }, at) => [manifestDigest, images[at]!.manifest] as const))
  const { index, raw, mediaType } = parseIndex(store.blobs.read(record.digest))
  const isAsStored = [...sent].every(([digest, { descriptor }]) => descriptor.digest === digest)
  const manifests = index.manifests.map((entry): Descriptor => ({ ...entry, ...sent.get(entry.digest)?.descriptor }))
  const bytes = isAsStored ? raw : serializeIndex({ ...index, manifests }, 'indented')
  return { bytes, descriptor: { mediaType, digest: digestOf(bytes), size: bytes.length } }
}

/** Of a layer that was made here never what an image that was pulled since made of it; one that came plain stays so. */
function gzipOf(forms: LayerForms, layer: LayerHandle): Promise<Descriptor> {
  return forms.blob(layer, { compression: 'gzip', force: !layer.isForeign })
}

/** Undefined where it is known. */
function withRepoDigest(record: ImageRecord, repoDigest: string): ImageRecord | undefined {
  return record.repoDigests.includes(repoDigest)
    ? undefined
    : { ...record, repoDigests: [...record.repoDigests, repoDigest] }
}

/** Blobs are read from the store by their digest: nobody asks for a stream. */
async function* emptyStream(): AsyncIterable<Uint8Array> {}
