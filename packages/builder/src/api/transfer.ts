import { setImmediate } from 'node:timers/promises'
import type { ImageToPush, PushLayer } from '../exporters/types.ts'
import { imageId } from '../store/image-id.ts'
import type { ImageRecord, Store } from '../store/types.ts'
import { createJobRunner } from '../disk/job-runner.ts'
import { createLayerForms } from '../layers/layer-forms.ts'
import type { LayerForms, LayerHandle } from '../layers/types.ts'
import { findImage, readImage, readStored, type ReadImage } from './images.ts'
import { internalStep } from '../build/internal-step.ts'
import { timeOf } from '../oci/created.ts'
import { digestOf, isDigest } from '../oci/digest.ts'
import { parseIndex, serializeIndex } from '../oci/image-index.ts'
import { serializeManifest } from '../oci/manifest.ts'
import { MediaType } from '../oci/media-types.ts'
import { rankPlatform } from '../oci/platform-match.ts'
import { formatPlatform, hostPlatform, normalizePlatform, parsePlatform } from '../oci/platform.ts'
import {
  canonicalName,
  formatFamiliar,
  type ImageReference,
  parseReference,
  repositoryOf,
  withDefaultTag,
} from '../oci/reference.ts'
import type { Descriptor, ImageConfig, Platform } from '../oci/types.ts'
import type { ProgressSink } from '../base/progress.ts'
import type { PullOptions, PullOutcome, PushOptions, PushOutcome } from '../build/public-types.ts'
import { sessionOf } from '../build/session.ts'
import type { Session } from '../build/session-types.ts'
import { runAll } from '../base/run-all.ts'
import { createLayerFetcher, greetRegistry, pushWith, sendBlobsTo, type BlobSender } from '../build/transfers.ts'

/** Fetches an image with all its layers, and names it in the store. */
export async function pull(image: string, options: PullOptions = {}): Promise<PullOutcome> {
  const sink: ProgressSink = options.onProgress ?? (() => undefined)
  await using session = await sessionOf(options)
  const { store, signal } = session
  const reference = withDefaultTag(parseReference(image))
  const platform = options.platform === undefined ? hostPlatform() : parsePlatform(options.platform)
  return await internalStep(sink, `pulling ${formatFamiliar(reference)}`, async (_report, vertexId) => {
    const { pullManifest } = await import('../registry/index.ts')
    const client = await session.registry()
    const name = canonicalName(image)
    const before = store.images.get(name)
    await checkRegistryHas(session, reference)
    const pulled = await pullManifest(client, reference, {
      blobs: store.blobs,
      platform,
      signal,
      ...(before === undefined || reference.digest !== undefined
        ? {}
        : { knownDigest: before.images[0].manifestDigest }),
    })
    const forms = formsOf(session, sink)
    const diffIds = pulled.config.rootfs.diff_ids
    const layers = forms.fromImage(
      pulled.manifest.layers.map((descriptor, index) => ({ descriptor, diffId: diffIds[index]! })),
      name,
      vertexId,
    )
    const descriptors = await Promise.all(
      layers.map((layer) => forms.blob(layer, { compression: 'none', force: false })),
    )
    store.sync()
    const isNew = before?.images[0].manifestDigest !== pulled.manifestDigest
    const repoDigest = `${repositoryOf(reference)}@${pulled.digest}`
    store.transaction(() => {
      const current = store.images.get(name)
      const known = current?.images[0].configDigest === pulled.configDigest ? current.repoDigests : []
      store.images.put({
        name,
        // Of an index, one platform was fetched: the name leads to its manifest.
        digest: pulled.manifestDigest,
        images: [
          {
            manifestDigest: pulled.manifestDigest,
            configDigest: pulled.configDigest,
            layerIds: layers.map((layer) => layer.id),
            sizeBytes: descriptors.reduce((sum, descriptor) => sum + descriptor.size, 0),
            isComplete: true,
          },
        ],
        createdMs: timeOf(pulled.config.created),
        origin: 'pulled',
        repoDigests: [...new Set([...known, repoDigest])],
      })
    })
    const mismatch = mismatchOf(pulled.config, platform)
    return { name, digest: pulled.digest, configDigest: pulled.configDigest, isNew, mismatch }
  })
}

/**
 * A manifest of the store may be one that no registry has: its layers are plain where a push compresses them. What no
 * pull and no push brought is asked for, although the bytes are at hand.
 * @throws OCI_REGISTRY_NOT_FOUND
 */
async function checkRegistryHas({ store, registry, signal }: Session, reference: ImageReference): Promise<void> {
  const { digest } = reference
  if (digest === undefined || !isDigest(digest) || !store.blobs.has(digest)) return
  const wanted = `${repositoryOf(reference)}@${digest}`
  if (store.images.list().some(({ repoDigests }) => repoDigests.includes(wanted))) return
  const client = await registry()
  await client.resolve(client.repository(reference), digest, signal)
}

/** Of an index the entry for the platform is taken, or none; an image that stands alone may be another one's. */
function mismatchOf(config: ImageConfig, wanted: Platform): PullOutcome['mismatch'] {
  const { os, architecture, variant } = config
  if (os === '' || architecture === '') return undefined
  const actual = normalizePlatform({ os, architecture, ...(variant === undefined ? {} : { variant }) })
  if (rankPlatform(actual, wanted) !== undefined) return undefined
  return { wanted: formatPlatform(wanted), actual: formatPlatform(actual) }
}

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
  const isWhole = platform === undefined && record.images.length > 1
  const chosen = isWhole
    ? record.images.map((stored) => readStored(store, stored))
    : [readImage(store, record, platform)]
  return await internalStep(
    sink,
    `pushing ${formatFamiliar(withDefaultTag(parseReference(target)))}`,
    async (reportStatus) => {
      const name = canonicalName(target)
      await setImmediate()
      const parts = { store, forms: formsOf(session, sink), sender: sendBlobsTo(session, name, reportStatus) }
      const images = await sendImages(parts, chosen, signal)
      const root = isWhole ? rewrittenIndex(store, record, images) : images[0]!.manifest
      await pushWith(
        session,
        reportStatus,
      )({ reference: name, byDigest: false, isInsecure: false, root, images, signal })
      const repoDigest = `${repositoryOf(parseReference(name))}@${root.descriptor.digest}`
      // The name may stand for another image by now: that one was not pushed.
      store.images.update(record.name, (current) =>
        imageId(current) === imageId(record) ? withRepoDigest(current, repoDigest) : undefined,
      )
      return { name, digest: root.descriptor.digest, sizeBytes: root.bytes.length }
    },
  )
}

interface SendParts {
  readonly store: Store
  readonly forms: LayerForms
  readonly sender: BlobSender
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
    await parts.sender.send(config, { repositories: [], signal: stop })
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
  const isPlain = before.mediaType === MediaType.ociLayer
  const known = store.layers.get(id)
  const begun = isPlain && known?.blobs.length === 0 ? sender.begin(stop) : undefined
  const descriptor = isPlain ? await gzipOf(forms, forms.load(id)) : before
  const repositories = known?.remote?.references ?? []
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

/** The index of the store over the manifests as they are sent. What else it names is not there. */
function rewrittenIndex(store: Store, record: ImageRecord, images: readonly ImageToPush[]): ImageToPush['manifest'] {
  const sent = new Map(record.images.map(({ manifestDigest }, at) => [manifestDigest, images[at]!.manifest] as const))
  const { index, raw, mediaType } = parseIndex(store.blobs.read(record.digest))
  const isAsStored = index.manifests.every(({ digest }) => sent.get(digest)?.descriptor.digest === digest)
  const manifests = index.manifests.flatMap((entry): readonly Descriptor[] => {
    const descriptor = sent.get(entry.digest)?.descriptor
    return descriptor === undefined ? [] : [{ ...entry, ...descriptor }]
  })
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

/** The layers of one transfer. */
function formsOf(session: Session, sink: ProgressSink): LayerForms {
  const { store, executor, signal } = session
  const jobs = createJobRunner({ executor, signal })
  return createLayerForms({ store, jobs, executor, fetcher: createLayerFetcher(session, sink), signal })
}

/** Blobs are read from the store by their digest: nobody asks for a stream. */
async function* emptyStream(): AsyncIterable<Uint8Array> {}
