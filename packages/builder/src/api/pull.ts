import type { ProgressSink } from '../base/progress.ts'
import type { PullOptions, PullOutcome } from '../build/public-types.ts'
import { internalStep } from '../build/internal-step.ts'
import { sessionOf } from '../build/session.ts'
import type { Session } from '../build/session-types.ts'
import { BuilderError } from '../base/errors.ts'
import { timeOf } from '../oci/created.ts'
import { isDigest } from '../oci/digest.ts'
import { closestTo, rankPlatform } from '../oci/platform-match.ts'
import { formatPlatform, hostPlatform, normalizePlatform, parsePlatform } from '../oci/platform.ts'
import { canonicalName, formatFamiliar, parseReference, repositoryOf, withDefaultTag } from '../oci/reference.ts'
import type { ImageReference } from '../oci/reference.ts'
import type { ImageConfig, Platform } from '../oci/types.ts'
import type { PulledImage } from '../registry/pull.ts'
import type { LayerForms } from '../layers/types.ts'
import type { ImageRecord, StoredImage } from '../store/types.ts'
import { layerFormsOf } from './layer-forms.ts'
import { isIndexRecord } from '../store/image-id.ts'
import { putIndexRecord } from '../store/index-record.ts'

/**
 * Fetches an image with all its layers, and names it in the store. Of an index the images of the wanted platforms come
 * to those that are there already: the name leads to the index.
 */
export async function pull(image: string, options: PullOptions = {}): Promise<PullOutcome> {
  const sink: ProgressSink = options.onProgress ?? (() => undefined)
  if (options.platform !== undefined && options.allPlatforms === true)
    throw new BuilderError('OCI_OPTION_INVALID', 'one platform and all of them cannot be asked for at once')
  await using session = await sessionOf(options)
  const { store } = session
  const reference = withDefaultTag(parseReference(image))
  return await internalStep(sink, `pulling ${formatFamiliar(reference)}`, async (_report, vertexId) => {
    const name = canonicalName(image)
    const before = store.images.get(name)
    await checkRegistryHas(session, reference)
    const platform = options.platform === undefined ? hostPlatform() : parsePlatform(options.platform)
    const images = await fetchManifests(session, reference, {
      platform: options.allPlatforms === true ? undefined : platform,
      before,
    })
    const first = closestTo(platform, images) ?? images[0]!
    const { digest, configDigest } = first
    const mismatch = options.allPlatforms === true ? undefined : mismatchOf(first.config, platform)
    if (options.allPlatforms !== true && isWhatWasPushed(before, reference, first))
      return { name, digest, configDigest, isNew: false, mismatch }
    const forms = layerFormsOf(session, sink)
    const stored = await Promise.all(images.map((one) => fetchLayers(forms, one, { name, vertexId })))
    store.sync()
    storePulled(session, { name, reference, images, first, stored })
    return { name, digest, configDigest, isNew: before?.digest !== digest, mismatch }
  })
}

/** @param platform undefined for all of them */
async function fetchManifests(
  session: Session,
  reference: ImageReference,
  { platform, before }: { readonly platform: Platform | undefined; readonly before: ImageRecord | undefined },
): Promise<readonly PulledImage[]> {
  const { store, signal } = session
  const [client, { pullManifest }] = await Promise.all([session.registry(), import('../registry/index.ts')])
  const common = { blobs: store.blobs, signal }
  if (platform === undefined) {
    const { pullAllManifests } = await import('../registry/pull-index.ts')
    const images = await pullAllManifests(client, reference, common)
    if (images.length > 0) return images
    throw new BuilderError('OCI_PLATFORM_NOT_FOUND', `${formatFamiliar(reference)} leads to no image`)
  }
  const known = before === undefined || reference.digest !== undefined ? {} : { knownDigest: before.digest }
  return [await pullManifest(client, reference, { ...common, platform, ...known })]
}

/**
 * Layers of a build are plain in the store and compressed in a registry, so the same image has two digests. Whoever pulls
 * what was pushed from here has it, with all its platforms.
 */
function isWhatWasPushed(before: ImageRecord | undefined, reference: ImageReference, found: PulledImage): boolean {
  if (before === undefined || before.digest === found.digest) return false
  const isAlike = isIndexRecord(before) === (found.digest !== found.manifestDigest)
  const own = before.images.find(({ configDigest }) => configDigest === found.configDigest)
  return (
    isAlike && own?.isComplete === true && before.repoDigests.includes(`${repositoryOf(reference)}@${found.digest}`)
  )
}

async function fetchLayers(
  forms: LayerForms,
  { manifest, manifestDigest, config, configDigest }: PulledImage,
  { name, vertexId }: { readonly name: string; readonly vertexId: string },
): Promise<StoredImage> {
  const diffIds = config.rootfs.diff_ids
  const layers = forms.fromImage(
    manifest.layers.map((descriptor, index) => ({ descriptor, diffId: diffIds[index]! })),
    name,
    vertexId,
  )
  const descriptors = await Promise.all(layers.map((layer) => forms.blob(layer, { compression: 'none', force: false })))
  return {
    manifestDigest,
    configDigest,
    layerIds: layers.map((layer) => layer.id),
    sizeBytes: descriptors.reduce((sum, descriptor) => sum + descriptor.size, 0),
    isComplete: true,
  }
}

interface Pulled {
  readonly name: string
  readonly reference: ImageReference
  readonly images: readonly PulledImage[]
  /** The one that fits this machine best. */
  readonly first: PulledImage
  readonly stored: readonly StoredImage[]
}

function storePulled({ store }: Session, { name, reference, first, stored }: Pulled): void {
  const { digest, config } = first
  const repoDigest = `${repositoryOf(reference)}@${digest}`
  store.transaction(() => {
    const current = store.images.get(name)
    const known = current?.digest === digest ? current.repoDigests : []
    const [one, ...more] = stored
    putIndexRecord(store, {
      name,
      digest,
      images: [one!, ...more],
      createdMs: timeOf(config.created),
      origin: 'pulled',
      repoDigests: [...new Set([...known, repoDigest])],
    })
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
