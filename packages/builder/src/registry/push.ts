import { createReadStream } from 'node:fs'
import type { BlobStore } from '../store/types.ts'
import { BuilderError } from '../base/errors.ts'
import type { Digest } from '../oci/digest.ts'
import { looksLikeIndex, parseIndex } from '../oci/image-index.ts'
import { parseManifest } from '../oci/manifest.ts'
import { isForeignLayer, isIndexType, isManifestType } from '../oci/media-types.ts'
import { formatReference, type ImageReference, parseReference, withDefaultTag } from '../oci/reference.ts'
import type { Descriptor } from '../oci/types.ts'
import { type RegistryClient, tagOrDigestOf } from './client.ts'
import { type Repository, repositoryName } from './host.ts'
import type { UploadOutcome } from './upload.ts'

/** Manifest or index as stored; what it names is found in the store or in a registry. */
export interface PushSource {
  readonly mediaType: string
  readonly bytes: Uint8Array
}

export interface PushOptions {
  readonly blobs: BlobStore
  /** Where a blob is known to lie in registries (`docker.io/library/debian:12`): it is mounted, or carried over without touching the disk. */
  readonly referencesOf?: ((digest: Digest) => readonly string[]) | undefined
  /** Blobs that lie in no registry that is known have just been made: their uploads are begun while one asks for them. */
  readonly assumesNew?: boolean
  /** Bytes of a blob that lies outside of the store. */
  readonly openOf?: ((digest: Digest) => ((signal?: AbortSignal) => AsyncIterable<Uint8Array>) | undefined) | undefined
  /** The upload of a blob that was just made, begun meanwhile. */
  readonly begun?: Promise<URL | undefined> | undefined
  /** Manifests that the repository has, with all that they name. */
  readonly present?: ReadonlySet<Digest> | undefined
  readonly signal?: AbortSignal | undefined
  readonly onProgress?: ((event: PushProgress) => void) | undefined
}

/** One blob's way; `outcome` comes with the last event of a digest. */
export interface PushProgress {
  readonly digest: Digest
  readonly current: number
  readonly total: number
  readonly outcome?: UploadOutcome
}

export interface PushedImage {
  /** What the reference names now. */
  readonly digest: Digest
  /** Size of the manifest or index, bytes: what `docker push` prints. */
  readonly sizeBytes: number
  /** `host/path:tag`. */
  readonly name: string
}

/**
 * Pushes an image, or an index with everything that it names: blobs first, several at once, each skipped, mounted or sent;
 * then the manifests, the one with the tag last, so that nobody ever sees half of it.
 * @throws OCI_REGISTRY_…, OCI_BLOB_NOT_FOUND, OCI_DIGEST_MISMATCH
 */
export async function pushImage(
  client: RegistryClient,
  source: PushSource,
  reference: string | ImageReference,
  options: PushOptions,
): Promise<PushedImage> {
  const parsed = withDefaultTag(typeof reference === 'string' ? parseReference(reference) : reference)
  const repository = client.repository(parsed)
  // The first failure ends the transfers beside it.
  const abort = new AbortController()
  const signal = options.signal === undefined ? abort.signal : AbortSignal.any([options.signal, abort.signal])
  const plan = planPush(source, options.blobs, options.present)
  const transfers = plan.blobs
    .filter(({ digest }) => !client.knowsBlob(repository, digest))
    .map((descriptor) => pushBlob(client, repository, descriptor, { ...options, signal }))
  try {
    await Promise.all(transfers)
    for (const child of plan.children) await client.putManifest(repository, child.digest, child, signal)
    const digest = await client.putManifest(repository, parsed.tag ?? tagOrDigestOf(parsed), source, signal)
    return { digest, sizeBytes: source.bytes.length, name: formatReference(parsed) }
  } catch (error) {
    abort.abort(error)
    // Nobody reads the store any more when we return.
    await Promise.allSettled(transfers)
    throw error
  }
}

interface Plan {
  /** Each once. */
  readonly blobs: readonly Descriptor[]
  /** Manifests below the top, innermost first. */
  readonly children: readonly (PushSource & { readonly digest: Digest })[]
}

const MAX_DEPTH = 3

function planPush(source: PushSource, store: BlobStore, present: ReadonlySet<Digest> = new Set()): Plan {
  const blobs = new Map<Digest, Descriptor>()
  const children = new Map<Digest, PushSource & { readonly digest: Digest }>()
  const visit = (bytes: Uint8Array, mediaType: string, depth: number): void => {
    if (depth > MAX_DEPTH)
      throw new BuilderError('OCI_MANIFEST_INVALID', 'the image index is nested too deeply to be pushed')
    if (!looksLikeIndex(bytes, mediaType)) {
      const { manifest } = parseManifest(bytes, mediaType)
      // Foreign layers stay where their urls say.
      for (const one of [...manifest.layers, manifest.config])
        if (!isForeignLayer(one.mediaType)) blobs.set(one.digest, one)
      return
    }
    for (const entry of parseIndex(bytes, mediaType).index.manifests) {
      if (children.has(entry.digest) || present.has(entry.digest)) continue
      if (!isIndexType(entry.mediaType) && !isManifestType(entry.mediaType)) {
        blobs.set(entry.digest, entry)
        continue
      }
      const child = { bytes: store.read(entry.digest), mediaType: entry.mediaType, digest: entry.digest }
      visit(child.bytes, child.mediaType, depth + 1)
      children.set(entry.digest, child)
    }
  }
  visit(source.bytes, source.mediaType, 0)
  return { blobs: [...blobs.values()], children: [...children.values()] }
}

/**
 * Brings one blob to a repository: skipped, mounted or sent. An image that is pushed there by the same client afterwards
 * does not ask for it again.
 */
export async function pushBlob(
  client: RegistryClient,
  repository: Repository,
  descriptor: Descriptor,
  options: PushOptions,
): Promise<void> {
  const { blobs, signal, onProgress } = options
  const { digest, size: total } = descriptor
  const sources = (options.referencesOf?.(digest) ?? []).map((reference) => client.repository(reference))
  const mountFrom = [
    ...new Set(sources.filter((one) => one.host.address === repository.host.address).map((one) => one.path)),
  ]
  const elsewhere = options.openOf?.(digest)
  onProgress?.({ digest, current: 0, total })
  const outcome = await client.uploadBlob(repository, descriptor, {
    open: (offset) => openBlob(client, descriptor, { blobs, elsewhere, sources, offset, signal }),
    mountFrom,
    isNew: options.assumesNew === true && sources.length === 0,
    begun: options.begun,
    signal,
    onProgress: (current) => onProgress?.({ digest, current, total }),
  })
  onProgress?.({ digest, current: total, total, outcome })
}

/** From the store, or straight from a registry that has it: then it goes through memory only. */
function openBlob(
  client: RegistryClient,
  descriptor: Descriptor,
  {
    blobs,
    elsewhere,
    sources,
    offset,
    signal,
  }: {
    readonly blobs: BlobStore
    readonly elsewhere: ((signal?: AbortSignal) => AsyncIterable<Uint8Array>) | undefined
    readonly sources: readonly Repository[]
    readonly offset: number
    readonly signal: AbortSignal | undefined
  },
): AsyncIterable<Uint8Array> {
  if (blobs.has(descriptor.digest))
    return createReadStream(blobs.path(descriptor.digest), { start: offset, highWaterMark: 256 * 1024 })
  if (sources.length > 0 || elsewhere !== undefined)
    return fromElsewhere(client, descriptor, { sources, elsewhere, offset, signal })
  throw new BuilderError(
    'OCI_BLOB_NOT_FOUND',
    `blob ${descriptor.digest} is neither in the store nor known in a registry`,
    { hint: 'complete the image first: tsbuild store complete, or pull its base' },
  )
}

/** An upload that was cut off goes on where it ended. */
async function* from(offset: number, chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, void> {
  let left = offset
  for await (const chunk of chunks) {
    if (chunk.length > left) yield chunk.subarray(left)
    left = Math.max(0, left - chunk.length)
  }
}

async function* fromElsewhere(
  client: RegistryClient,
  descriptor: Descriptor,
  {
    sources,
    elsewhere,
    offset,
    signal,
  }: {
    readonly sources: readonly Repository[]
    readonly elsewhere: ((signal?: AbortSignal) => AsyncIterable<Uint8Array>) | undefined
    readonly offset: number
    readonly signal: AbortSignal | undefined
  },
): AsyncGenerator<Uint8Array, void, void> {
  const [last] = elsewhere === undefined ? sources.slice(-1) : []
  for (const source of sources) {
    if (source !== last && !(await client.hasBlob(source, descriptor.digest, signal))) continue
    return yield* client.fetchBlob(source, descriptor, { signal, offset })
  }
  if (elsewhere !== undefined) return yield* from(offset, elsewhere(signal))
  throw new BuilderError(
    'OCI_BLOB_NOT_FOUND',
    `blob ${descriptor.digest} is in none of ${sources.map(repositoryName).join(', ')}`,
  )
}
