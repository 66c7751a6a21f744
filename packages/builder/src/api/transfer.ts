import { setImmediate } from 'node:timers/promises'
import type { ImageRecord } from '../store/types.ts'
import { createJobRunner } from '../disk/job-runner.ts'
import { createLayerForms } from '../layers/layer-forms.ts'
import type { LayerForms, LayerHandle } from '../layers/types.ts'
import { findImage, readImage } from './images.ts'
import { internalStep } from '../build/internal-step.ts'
import { timeOf } from '../oci/created.ts'
import { digestOf, isDigest, type Digest } from '../oci/digest.ts'
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
import { createLayerFetcher, greetRegistry, pushWith, sendBlobsTo } from '../build/transfers.ts'

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
 * Sends an image of the store to the registry of its name, or to another name. Layers that were made here are compressed
 * once, then kept.
 */
export async function push(image: string, options: PushOptions = {}): Promise<PushOutcome> {
  const sink: ProgressSink = options.onProgress ?? (() => undefined)
  await using session = await sessionOf(options)
  const { store, signal } = session
  const record = findImage(store, image)
  const target = options.destination ?? image
  // First of all: what comes before the first blob leaves the loop no time to send a byte.
  greetRegistry(session, canonicalName(target))
  const { manifest } = readImage(store, record)
  return await internalStep(
    sink,
    `pushing ${formatFamiliar(withDefaultTag(parseReference(target)))}`,
    async (reportStatus) => {
      const forms = formsOf(session, sink)
      const name = canonicalName(target)
      await setImmediate()
      const repositories = new Map<Digest, readonly string[]>()
      const sender = sendBlobsTo(session, name, reportStatus)
      const layerWorks = record.images[0].layerIds.map(
        (id, index) =>
          async (stop: AbortSignal): Promise<Descriptor> => {
            const stored = manifest.layers[index]!
            const isPlain = stored.mediaType === MediaType.ociLayer
            const known = store.layers.get(id)
            const begun = isPlain && known?.blobs.length === 0 ? sender.begin(stop) : undefined
            const descriptor = isPlain ? await gzipOf(forms, forms.load(id)) : stored
            const from = known?.remote?.references ?? []
            repositories.set(descriptor.digest, from)
            await sender.send(descriptor, { repositories: from, begun, signal: stop })
            return descriptor
          },
      )
      const configWork = async (stop: AbortSignal): Promise<Descriptor> => {
        await sender.send(manifest.config, { repositories: [], signal: stop })
        return manifest.config
      }
      // The registry answers while layers are compressed.
      const [, ...layers] = await runAll([configWork, ...layerWorks], signal)
      const isAsStored = layers.every((layer, index) => layer.digest === manifest.layers[index]!.digest)
      const bytes = isAsStored
        ? store.blobs.read(record.images[0].manifestDigest)
        : serializeManifest({ ...manifest, layers })
      const descriptor: Descriptor = { mediaType: manifest.mediaType, digest: digestOf(bytes), size: bytes.length }
      await pushWith(
        session,
        reportStatus,
      )({
        reference: name,
        byDigest: false,
        isInsecure: false,
        manifest: { bytes, descriptor },
        config: { bytes: store.blobs.read(record.images[0].configDigest), descriptor: manifest.config },
        layers: layers.map((layer) => ({
          descriptor: layer,
          repositories: repositories.get(layer.digest) ?? [],
          open: () => emptyStream(),
        })),
        signal,
      })
      const repoDigest = `${repositoryOf(parseReference(name))}@${descriptor.digest}`
      // The name may stand for another image by now: that one was not pushed.
      store.images.update(record.name, (current) =>
        current.images[0].configDigest === record.images[0].configDigest
          ? withRepoDigest(current, repoDigest)
          : undefined,
      )
      return { name, digest: descriptor.digest, sizeBytes: bytes.length }
    },
  )
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
