import type { PushImage } from './exporters/types.ts'
import type { LayerFetcher } from './forms/fetch.ts'
import { formatReference, parseReference, repositoryOf, type ImageReference } from './oci/reference.ts'
import type { FetchImage } from './ops/image/resolve.ts'
import type { ProgressSink } from './progress.ts'
import type { Session } from './session.ts'

/** Progress of a transfer is told at most this often, milliseconds. */
const REPORT_MS = 100

/** Manifest and config of a base, from its registry into the store. */
export function fetchImageWith(session: Session): FetchImage {
  return async (reference, platform) => {
    const client = await session.registry()
    const { pullManifest } = await import('./registry/index.ts')
    const image = await pullManifest(client, reference, {
      blobs: session.store.blobs,
      platform,
      signal: session.signal,
    })
    return { digest: image.digest, manifestDigest: image.manifestDigest, configDigest: image.configDigest }
  }
}

/** Blobs of layers, from their registry into the store; told to the vertex of their image. */
export function createLayerFetcher(session: Session, sink: ProgressSink): LayerFetcher {
  return async ({ descriptor, references, progressVertex, signal, onChunk }) => {
    const client = await session.registry()
    const { pullLayer } = await import('./registry/index.ts')
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
    const { fetched } = await pullLayer(client, descriptor, references.map(pullReference), {
      blobs: session.store.blobs,
      signal,
      ...(onChunk === undefined ? {} : { onChunk }),
      onProgress: (current) => tell(current, false),
    })
    tell(descriptor.size, true)
    return fetched
  }
}

/** Of `name:tag@digest` the digest is that of the manifest: for blobs only the repository counts. */
function pullReference(reference: string): ImageReference {
  return parseReference(reference)
}

/** Sends an image for an exporter. Blobs are read from the store; a base that was not fetched is mounted or carried over. */
export function pushWith(
  session: Session,
  report: (
    id: string,
    text: string,
    progress?: { readonly current?: number; readonly total?: number; readonly isDone?: boolean },
  ) => void,
): PushImage {
  return async (request) => {
    const { store } = session
    const { pushImage } = await import('./registry/push.ts')
    const reference = parseReference(request.reference)
    const client = await session.registry()
    if (request.isInsecure) client.allowInsecure(reference.domain)
    const repositories = new Map(request.layers.map((layer) => [layer.descriptor.digest, layer.repositories] as const))
    store.blobs.put(request.config.bytes)
    const { descriptor, bytes } = request.manifest
    const target: ImageReference = request.byDigest
      ? parseReference(`${repositoryOf(reference)}@${descriptor.digest}`)
      : reference
    const name = request.byDigest ? formatReference(target) : `${formatReference(target)}@${descriptor.digest}`
    report(name, `pushing manifest for ${name}`)
    await pushImage(client, { mediaType: descriptor.mediaType, bytes }, target, {
      blobs: store.blobs,
      referencesOf: (digest) => repositories.get(digest) ?? [],
      signal: request.signal ?? session.signal,
      onProgress: ({ digest, current, total, outcome }) =>
        report(digest, `pushing ${digest}`, { current, total, isDone: outcome !== undefined }),
    })
    report(name, `pushing manifest for ${name}`, { isDone: true })
  }
}
