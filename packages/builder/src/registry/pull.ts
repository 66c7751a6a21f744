import type { BlobStore } from '../store/types.ts'
import { BuilderError, isTsOciError } from '../base/errors.ts'
import { type Digest, isDigest } from '../oci/digest.ts'
import { MAX_CONFIG_BYTES, parseImageConfig } from '../oci/image-config.ts'
import { checkIsImage, type ParsedManifest } from '../oci/manifest.ts'
import { isIndexType, isManifestType } from '../oci/media-types.ts'
import { formatPlatform } from '../oci/platform.ts'
import { formatReference, type ImageReference, parseReference } from '../oci/reference.ts'
import { awaitSelection, selectImage } from '../oci/select-image.ts'
import type { Descriptor, ImageConfig, Manifest, Platform } from '../oci/types.ts'
import { type RegistryClient, tagOrDigestOf } from './client.ts'
import { type Repository, repositoryName } from './host.ts'
import { unlessCanceled } from './shared.ts'

/** An image as a registry has it: manifest and config, both in the store now; no layer. */
export interface PulledImage {
  readonly reference: ImageReference
  /** What the tag points to: an index, or the manifest itself. */
  readonly digest: Digest
  readonly manifestDigest: Digest
  readonly manifestMediaType: string
  /** The manifest's bytes as they came. */
  readonly manifestBytes: Uint8Array
  readonly manifest: Manifest
  readonly configDigest: Digest
  readonly configBytes: Uint8Array
  readonly config: ImageConfig
}

export interface PullManifestOptions {
  readonly blobs: BlobStore
  readonly platform: Platform
  readonly signal?: AbortSignal | undefined
  /** What the tag pointed to last time: when the registry says that it still does, nothing is fetched. */
  readonly knownDigest?: Digest | undefined
}

/**
 * Fetches manifest and config of an image into the store; of an index the entry for `platform`.
 * A reference with a digest whose documents are all in the store makes no request.
 * @throws OCI_REGISTRY_…, OCI_PLATFORM_NOT_FOUND, OCI_MANIFEST_INVALID, OCI_CONFIG_INVALID, OCI_DIGEST_MISMATCH
 */
export async function pullManifest(
  client: RegistryClient,
  reference: string | ImageReference,
  options: PullManifestOptions,
): Promise<PulledImage> {
  const parsed = typeof reference === 'string' ? parseReference(reference) : reference
  const repository = client.repository(parsed)
  const top = await fetchTop(client, repository, tagOrDigestOf(parsed), options)
  const manifest = await fetchManifestFor(client, repository, top, { parsed, options })
  checkIsImage(manifest.manifest, formatReference(parsed))
  options.blobs.put(top.bytes)
  options.blobs.put(manifest.raw)
  const { configBytes, config } = await fetchConfig(client, repository, manifest, options)
  return {
    reference: parsed,
    digest: top.digest,
    manifestDigest: manifest.digest,
    manifestMediaType: manifest.mediaType,
    manifestBytes: manifest.raw,
    manifest: manifest.manifest,
    configDigest: manifest.manifest.config.digest,
    configBytes,
    config,
  }
}

interface Document {
  readonly bytes: Uint8Array
  readonly digest: Digest
  readonly contentType: string | undefined
}

async function fetchTop(
  client: RegistryClient,
  repository: Repository,
  tagOrDigest: string,
  { blobs, signal, knownDigest }: PullManifestOptions,
): Promise<Document> {
  const inStore = (digest: Digest): Document => ({ bytes: blobs.read(digest), digest, contentType: undefined })
  if (isDigest(tagOrDigest) && blobs.has(tagOrDigest)) return inStore(tagOrDigest)
  if (knownDigest !== undefined && blobs.has(knownDigest)) {
    // HEAD costs no pull at registries that count them.
    const now = await client.resolve(repository, tagOrDigest, signal)
    if (now !== undefined && blobs.has(now.digest)) return inStore(now.digest)
  }
  return await client.fetchManifest(repository, tagOrDigest, signal)
}

async function fetchManifestFor(
  client: RegistryClient,
  repository: Repository,
  top: Document,
  { parsed, options }: { readonly parsed: ImageReference; readonly options: PullManifestOptions },
): Promise<ParsedManifest> {
  const { blobs, platform, signal } = options
  const selection = selectImage({ bytes: top.bytes, mediaType: top.contentType }, platform)
  const { manifest, offered } = await awaitSelection(selection, async (descriptor) => {
    if (blobs.has(descriptor.digest)) return checkSize(descriptor, blobs.read(descriptor.digest))
    if (isIndexType(descriptor.mediaType) || isManifestType(descriptor.mediaType)) {
      const { bytes } = await client.fetchManifest(repository, descriptor.digest, signal)
      blobs.put(checkSize(descriptor, bytes))
      return bytes
    }
    checkConfigSize(repository, descriptor)
    await pullBlob(client, repository, descriptor, { blobs, signal })
    return blobs.read(descriptor.digest)
  })
  if (manifest !== undefined) return manifest
  const names = [...new Set(offered.flatMap((one) => (one.os === 'unknown' ? [] : formatPlatform(one))))]
  throw new BuilderError(
    'OCI_PLATFORM_NOT_FOUND',
    `${formatReference(parsed)} has no image for ${formatPlatform(platform)}`,
    {
      hint: names.length === 0 ? 'the index names no image' : `it has ${names.join(', ')}; choose one with --platform`,
      details: { platform: formatPlatform(platform), offered: names },
    },
  )
}

/** A size that an index says wrongly would be pushed with it, and others refuse such an index. @throws OCI_DIGEST_MISMATCH */
export function checkSize({ digest, size }: Descriptor, bytes: Uint8Array): Uint8Array {
  if (bytes.length === size) return bytes
  throw new BuilderError('OCI_DIGEST_MISMATCH', `${digest} has ${bytes.length} bytes, its index says ${size}`, {
    hint: 'the index is damaged: pull it from elsewhere or make it again',
  })
}

function checkConfigSize(repository: Repository, descriptor: Descriptor): void {
  if (descriptor.size > MAX_CONFIG_BYTES)
    throw new BuilderError(
      'OCI_CONFIG_INVALID',
      `the config of ${repositoryName(repository)} is larger than ${MAX_CONFIG_BYTES} bytes`,
    )
}

async function fetchConfig(
  client: RegistryClient,
  repository: Repository,
  { manifest }: ParsedManifest,
  { blobs, signal }: PullManifestOptions,
): Promise<{ configBytes: Uint8Array; config: ImageConfig }> {
  const { config: descriptor, layers } = manifest
  checkConfigSize(repository, descriptor)
  if (!blobs.has(descriptor.digest)) await pullBlob(client, repository, descriptor, { blobs, signal })
  const configBytes = blobs.read(descriptor.digest)
  const config = parseImageConfig(configBytes)
  const count = config.rootfs.diff_ids.length
  if (count !== layers.length) {
    throw new BuilderError(
      'OCI_MANIFEST_INVALID',
      `${repositoryName(repository)}: the manifest has ${layers.length} layers, its config ${count}`,
      { hint: 'the image is damaged: pull it from elsewhere or make it again' },
    )
  }
  return { configBytes, config }
}

export interface PullLayerOptions {
  readonly blobs: BlobStore
  readonly signal?: AbortSignal | undefined
  /** Sees every byte in order, once, before it is known to be right: whatever it makes counts only when the pull ends well. */
  readonly onChunk?: ((chunk: Uint8Array) => Promise<void> | void) | undefined
  readonly onProgress?: ((current: number, total: number) => void) | undefined
}

/** False when the blob was in the store: then `onChunk` saw nothing. */
export interface PulledLayer {
  readonly fetched: boolean
}

/**
 * Fetches a layer's blob into the store, from the first of `references` that gives it; waits for a free place among the
 * client's downloads. What another reference would give cannot differ: the digest decides.
 * @throws OCI_REGISTRY_…, OCI_DIGEST_MISMATCH
 */
export async function pullLayer(
  client: RegistryClient,
  descriptor: Descriptor,
  references: readonly (string | ImageReference)[],
  options: PullLayerOptions,
): Promise<PulledLayer> {
  if (references.length === 0)
    throw new BuilderError('OCI_BLOB_NOT_FOUND', `no registry is known that has blob ${descriptor.digest}`, {
      hint: 'pull the image again',
    })
  return await oneAtATime(client, descriptor.digest, options.signal, async () => {
    if (options.blobs.has(descriptor.digest)) return { fetched: false }
    let firstError: unknown
    for (const reference of references) {
      let isShown = false
      const onChunk = options.onChunk && ((chunk: Uint8Array) => ((isShown = true), options.onChunk!(chunk)))
      try {
        await pullBlob(client, client.repository(reference), descriptor, { ...options, onChunk })
        return { fetched: true }
      } catch (error) {
        firstError ??= error
        // Bytes are shown once: after that nobody can begin anew. A full disk or a cancel is no better elsewhere.
        if (isShown || !isFaultOfSource(error)) throw error
      }
    }
    throw firstError
  })
}

function isFaultOfSource(error: unknown): boolean {
  return isTsOciError(error) && (error.code.startsWith('OCI_REGISTRY_') || error.code === 'OCI_DIGEST_MISMATCH')
}

/** A layer that an image names twice, or that two stages pull at once, travels once: the second waits for the first. */
async function oneAtATime<T>(
  client: RegistryClient,
  digest: Digest,
  signal: AbortSignal | undefined,
  job: () => Promise<T>,
): Promise<T> {
  const jobs = client.pulls
  // After a failure of the first each of the others tries for itself, one by one.
  for (let other = jobs.get(digest); other !== undefined; other = jobs.get(digest))
    await unlessCanceled(
      other.catch(() => undefined),
      signal,
    )
  const mine = client.downloads(signal, job)
  jobs.set(digest, mine)
  try {
    return await mine
  } finally {
    jobs.delete(digest)
  }
}

async function pullBlob(
  client: RegistryClient,
  repository: Repository,
  descriptor: Descriptor,
  options: PullLayerOptions,
): Promise<void> {
  const { blobs, signal, onChunk, onProgress } = options
  const writer = blobs.createWriter()
  const observer = createObserver(onChunk)
  let current = 0
  let source = { repository, isMirror: false }
  const gave = new Set<typeof source>()
  const onSource = (one: Repository, isLast: boolean): void => void (source = { repository: one, isMirror: !isLast })
  try {
    for await (const chunk of client.fetchBlob(repository, descriptor, { signal, onSource })) {
      gave.add(source)
      // Only real promises are waited for: a tick for each 64 KiB would be felt.
      const written = writer.write(chunk)
      if (written !== undefined) await written
      const seen = observer.show(chunk)
      if (seen !== undefined) await seen
      current += chunk.length
      onProgress?.(current, descriptor.size)
    }
  } catch (error) {
    await writer.abort()
    throw error
  }
  try {
    await writer.commit({ digest: descriptor.digest, size: descriptor.size })
  } catch (error) {
    if (!isTsOciError(error) || error.code !== 'OCI_DIGEST_MISMATCH') throw error
    const mirrors = [...gave].filter(({ isMirror }) => isMirror)
    for (const mirror of mirrors) client.distrust(mirror.repository)
    // What was shown cannot be taken back: who was shown it begins anew.
    if (mirrors.length > 0 && onChunk === undefined) return await pullBlob(client, repository, descriptor, options)
    const [culprit = source] = mirrors
    throw new BuilderError(
      'OCI_DIGEST_MISMATCH',
      `blob ${descriptor.digest} of ${repositoryName(repository)}: the bytes that came${fromElsewhere(culprit.repository, repository)} have another digest`,
      {
        hint: 'the registry, or a proxy before it, altered it; do not use it',
        details: { isOfMirror: mirrors.length > 0 },
        cause: error,
      },
    )
  }
  observer.check()
}

/** Of which mirror not to believe. */
function fromElsewhere(source: Repository, repository: Repository): string {
  const name = repositoryName(source)
  return name === repositoryName(repository) ? '' : ` from ${name}`
}

/**
 * Bytes that were altered on the way trip whoever reads them before their digest is known. So a reader's failure is kept
 * until the blob is known to be right: if it is not, that is the error.
 */
function createObserver(onChunk: PullLayerOptions['onChunk']): {
  show(chunk: Uint8Array): Promise<void> | undefined
  check(): void
} {
  let failure: { readonly error: unknown } | undefined
  const keep = (error: unknown): void => {
    failure ??= { error }
  }
  return {
    show(chunk) {
      if (onChunk === undefined || failure !== undefined) return undefined
      try {
        return onChunk(chunk)?.catch(keep)
      } catch (error) {
        keep(error)
        return undefined
      }
    },
    check() {
      if (failure !== undefined) throw failure.error
    },
  }
}
