import type { Store } from '../store/types.ts'
import type { PushImage } from '../exporters/types.ts'
import type { LayerFetcher } from '../layers/fetch.ts'
import type { Digest } from '../oci/digest.ts'
import { isForeignLayer } from '../oci/media-types.ts'
import {
  formatReference,
  isCacheReference,
  parseReference,
  registryReference,
  repositoryOf,
  type ImageReference,
} from '../oci/reference.ts'
import { BuilderError, isTsOciError, type BuilderErrorCode, type TsOciError } from '../base/errors.ts'
import type { CheckImage, FetchImage } from '../ops/image/resolve.ts'
import type { ProgressSink } from '../base/progress.ts'
import type { Descriptor } from '../oci/types.ts'
import type { PushOptions } from '../registry/push.ts'
import type { CacheImports } from './cache-exchange.ts'
import type { Session } from './session-types.ts'

/** Progress of a transfer is told at most this often, milliseconds. */
const REPORT_MS = 100

/** Manifest and config of a base, from its registry into the store. */
export function fetchImageWith(session: Session): FetchImage {
  return async (reference, platform) => {
    const client = await session.registry()
    const { pullManifest } = await import('../registry/index.ts')
    const image = await pullManifest(client, reference, {
      blobs: session.store.blobs,
      platform,
      signal: session.signal,
    })
    return { digest: image.digest, manifestDigest: image.manifestDigest, configDigest: image.configDigest }
  }
}

/** A registry that has not said by then what a tag points to gets no more time: the base is at hand. */
const CHECK_MS = 10_000

/** Asks a registry by one HEAD whether a tag still means the same. What it answers that is no refusal is a doubt. */
export function checkImageWith(session: Session): CheckImage {
  return async (reference, known) => {
    const late = AbortSignal.timeout(CHECK_MS)
    try {
      const client = await session.prober()
      const parsed = parseReference(reference)
      const signal = AbortSignal.any([session.signal, late])
      const now = await client.resolve(client.repository(parsed), parsed.tag ?? 'latest', signal)
      return now?.digest === known ? 'same' : 'moved'
    } catch (error) {
      if (session.signal.aborted || !isTsOciError(error)) throw error
      if (late.aborted)
        return new BuilderError('OCI_REGISTRY_UNREACHABLE', `no answer within ${CHECK_MS / 1000} s`, { cause: error })
      // A server that takes no HEAD: what GET brings is compared.
      if (error.details['status'] === 405 || error.details['status'] === 501) return 'moved'
      if (!isRefusal(error)) return error
      const { message, hint, details, cause } = error
      throw new BuilderError(error.code as BuilderErrorCode, message, {
        hint: `${hint === undefined ? '' : `${hint}; `}the copy of an earlier build is used with --pull=missing`,
        details,
        cause,
      })
    }
  }
}

/** The registry did answer: there is no such image, or not for this user. */
function isRefusal({ code, details }: TsOciError): boolean {
  if (code === 'OCI_REGISTRY_NOT_FOUND' || code === 'OCI_REGISTRY_UNAUTHORIZED') return true
  return code === 'OCI_REGISTRY_DENIED' && details['status'] !== 429
}

/** Blobs of layers, from their registry into the store; told to the vertex of their image. */
export function createLayerFetcher(
  session: Session,
  sink: ProgressSink,
  { isAllowed = true, caches }: { readonly isAllowed?: boolean; readonly caches?: CacheImports | undefined } = {},
): LayerFetcher {
  return async ({ descriptor, references, progressVertex, signal, onChunk, onEnd }) => {
    if (!isAllowed)
      throw new BuilderError(
        'OCI_IMAGE_NOT_FOUND',
        `layer ${descriptor.digest} of ${references[0] ?? 'a base'} is not in the store, and --pull=never forbids to fetch it`,
        { hint: 'tsbuild pull fetches an image with all its layers' },
      )
    const startedMs = Date.now()
    let lastMs = 0
    const tell = (current: number, isDone: boolean): void => {
      if (progressVertex === undefined || (!isDone && Date.now() - lastMs < REPORT_MS)) return
      lastMs = Date.now()
      sink({
        type: 'status',
        vertex: progressVertex,
        id: descriptor.digest,
        text: descriptor.digest,
        current,
        total: descriptor.size,
        startedMs,
        ...(isDone ? { completedMs: lastMs } : {}),
      })
    }
    const onProgress = (current: number): void => tell(current, false)
    const request = { descriptor, references, signal, onChunk, onProgress, caches }
    const fetch = async (): Promise<boolean> => {
      const wasFetched = await fetchFrom(session, request)
      await onEnd?.(wasFetched)
      return wasFetched
    }
    const fetched = await fetch().catch((error: unknown) => {
      if (references.some(isCacheReference) && !signal.aborted) caches?.lose(descriptor.digest, error)
      throw error
    })
    tell(descriptor.size, true)
    if (fetched) session.traffic.fetchedBytes += descriptor.size
    return fetched
  }
}

interface FetchRequest {
  readonly descriptor: Descriptor
  readonly references: readonly string[]
  readonly signal: AbortSignal
  readonly onChunk: ((chunk: Uint8Array) => void | Promise<void>) | undefined
  readonly onProgress: (current: number) => void
  readonly caches: CacheImports | undefined
}

/** From a cache of this build that lies in no registry, else from registries. False: it was here already. */
async function fetchFrom(session: Session, request: FetchRequest): Promise<boolean> {
  const { descriptor, references, signal, onChunk, onProgress, caches } = request
  const { blobs } = session.store
  for (const reference of references) {
    const cache = caches?.blobsOf(reference)
    if (cache === undefined) continue
    const { pullFromCache } = await import('./cache-blobs.ts')
    return pullFromCache(blobs, cache.open(reference, descriptor, signal), request)
  }
  const client = await session.registry()
  const { pullLayer } = await import('../registry/index.ts')
  const inRegistries = references.flatMap((reference) => registryReference(reference) ?? [])
  const options = { blobs, signal, onProgress, ...(onChunk === undefined ? {} : { onChunk }) }
  return (await pullLayer(client, descriptor, inRegistries.map(pullReference), options)).fetched
}

/** Of `name:tag@digest` the digest is that of the manifest: for blobs only the repository counts. */
function pullReference(reference: string): ImageReference {
  return parseReference(reference)
}

/** A blob that goes to one more repository is mounted from one of those where it went last. */
const MAX_PUSHED_TO = 4

/** Repositories to which a blob was pushed from here, the last one first. They may have lost it since: a mount asks. */
function pushedTo({ cache }: Store, digest: Digest): readonly string[] {
  const fact = cache.getFact(`pushed:${digest}`)
  return fact === undefined ? [] : (JSON.parse(fact) as string[])
}

function rememberPushed(store: Store, digests: readonly Digest[], repository: string): void {
  store.transaction(() => {
    for (const digest of digests) {
      const before = pushedTo(store, digest)
      if (before[0] === repository) continue
      const now = [repository, ...before.filter((one) => one !== repository)].slice(0, MAX_PUSHED_TO)
      store.cache.putFact(`pushed:${digest}`, JSON.stringify(now))
    }
  })
}

type ReportPart = (
  id: string,
  text: string,
  progress?: { readonly current?: number; readonly total?: number; readonly isDone?: boolean },
) => void

/** What the transfers of a push share; `repositories` may hold a blob besides those where it went from here. */
function pushOptions(
  { store, signal, traffic }: Session,
  report: ReportPart,
  repositories: ReadonlyMap<Digest, readonly string[]>,
): PushOptions {
  return {
    blobs: store.blobs,
    assumesNew: true,
    referencesOf: (digest) => [...new Set([...(repositories.get(digest) ?? []), ...pushedTo(store, digest)])],
    signal,
    onProgress: ({ digest, current, total, outcome }) => {
      if (outcome === 'uploaded') traffic.sentBytes += total
      report(digest, `pushing ${digest}`, { current, total, isDone: outcome !== undefined })
    },
  }
}

/** Brings blobs to one repository, where {@link pushWith} finds them. */
export interface BlobSender {
  /** Before a blob is made: the registry begins its upload meanwhile. Never fails. */
  begin(signal: AbortSignal): Promise<URL | undefined>
  /** Sends one that the store has. */
  send(
    descriptor: Descriptor,
    options: {
      /** Where else it lies. */
      readonly repositories: readonly string[]
      readonly begun?: Promise<URL | undefined> | undefined
      readonly signal: AbortSignal
    },
  ): Promise<void>
}

/**
 * Finds out how the registry of a reference is spoken to, where that has to be asked, and what else takes a while: the
 * first transfer finds a connection. A failure is that of the transfer.
 */
export function greetRegistry(session: Session, reference: string): void {
  const greet = async (): Promise<void> => {
    const client = await session.registry()
    await client.greet(client.repository(reference), session.signal)
  }
  greet().catch(() => undefined)
}

/** Brings blobs of an image to its repository while others of it are still made. */
export function sendBlobsTo(session: Session, reference: string, report: ReportPart): BlobSender {
  const under = new Map<Digest, Promise<void>>()
  const sendOne: BlobSender['send'] = async (descriptor, { repositories, begun, signal }) => {
    const [client, { pushBlob }] = await Promise.all([session.registry(), import('../registry/push.ts')])
    const options = pushOptions(session, report, new Map([[descriptor.digest, repositories]]))
    await pushBlob(client, client.repository(reference), descriptor, { ...options, begun, signal })
  }
  return {
    begin: async (signal) => {
      const client = await session.registry().catch(() => undefined)
      return await client?.beginUpload(client.repository(reference), signal)
    },
    send: async (descriptor, options) => {
      // A foreign layer stays where its manifest says.
      if (isForeignLayer(descriptor.mediaType)) return
      // A layer may be in an image twice.
      const before = under.get(descriptor.digest)
      const sending = before ?? sendOne(descriptor, options)
      under.set(descriptor.digest, sending)
      await sending
      // Now that it is there, an upload that was begun for it in vain is taken back.
      if (before !== undefined && options.begun !== undefined) await sendOne(descriptor, options)
    },
  }
}

/** Sends an image for an exporter. Blobs are read from the store; a base that was not fetched is mounted or carried over. */
export function pushWith(session: Session, report: ReportPart): PushImage {
  return async (request) => {
    const { store } = session
    const { pushImage } = await import('../registry/push.ts')
    const reference = parseReference(request.reference)
    const client = await session.registry()
    if (request.isInsecure) client.allowInsecure(reference.domain)
    const layers = request.images.flatMap((image) => image.layers)
    const repositories = new Map(layers.map((layer) => [layer.descriptor.digest, layer.repositories] as const))
    const opened = request.opensLayers === true ? layers : []
    const opens = new Map(opened.map((layer) => [layer.descriptor.digest, layer.open] as const))
    const { descriptor, bytes } = request.root
    for (const { manifest, config } of request.images) {
      store.blobs.put(config.bytes)
      // What an index names is read from the store.
      if (manifest.descriptor.digest !== descriptor.digest) store.blobs.put(manifest.bytes)
    }
    const target: ImageReference = request.byDigest
      ? parseReference(`${repositoryOf(reference)}@${descriptor.digest}`)
      : reference
    const name = request.byDigest ? formatReference(target) : `${formatReference(target)}@${descriptor.digest}`
    report(name, `pushing manifest for ${name}`)
    await pushImage(client, { mediaType: descriptor.mediaType, bytes }, target, {
      ...pushOptions(session, report, repositories),
      present: request.present,
      openOf: (digest) => opens.get(digest),
      signal: request.signal ?? session.signal,
    })
    report(name, `pushing manifest for ${name}`, { isDone: true })
    const configs = request.images.map(({ config }) => config)
    const blobs = [...layers, ...configs].map((blob) => blob.descriptor.digest)
    rememberPushed(store, blobs, repositoryOf(reference))
  }
}
