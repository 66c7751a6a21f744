import type { Digest } from '../oci/digest.ts'
import type { Descriptor } from '../oci/types.ts'
import { type ImageReference, parseReference, withDefaultTag } from '../oci/reference.ts'
import { fetchBlobFrom, type FetchBlobOptions, hasBlob } from './download.ts'
import { type Repository, repositoryName } from './host.ts'
import type { Limiter } from './limiter.ts'
import {
  type FetchedManifest,
  fetchManifest,
  type ManifestUpload,
  putManifest,
  type ResolvedManifest,
  resolveManifest,
} from './manifests.ts'
import type { RegistryClientOptions } from './options.ts'
import { createConnections, type Connections } from './connections.ts'
import { fromFirst } from './mirrors.ts'
import type { ReferrersOptions } from './referrers/referrers.ts'
import { createTransport, type MakeTransport } from './transport.ts'
import { beginUpload, uploadBlob, type UploadOptions, type UploadOutcome } from './upload.ts'

/**
 * A client of registries (OCI distribution specification 1.1). One client serves a whole build: it keeps connections and
 * tokens, and bounds how many blobs travel at once. Nothing is loaded and no request is sent before the first call.
 */
export interface RegistryClient extends AsyncDisposable {
  /** A reference's repository; a string is parsed, `debian` is `docker.io/library/debian`. @throws OCI_REFERENCE_INVALID */
  repository(reference: string | ImageReference): Repository
  /** From now on this registry may be spoken to over plain HTTP or with a certificate that does not verify. */
  allowInsecure(domain: string): void
  /** Asks how the registry is spoken to, where it is not known: who has a request for it soon finds a connection. */
  greet(repository: Repository, signal?: AbortSignal): Promise<void>
  /** HEAD: what a tag points to; undefined when the registry does not say. */
  resolve(repository: Repository, tagOrDigest: string, signal?: AbortSignal): Promise<ResolvedManifest | undefined>
  fetchManifest(repository: Repository, tagOrDigest: string, signal?: AbortSignal): Promise<FetchedManifest>
  putManifest(
    repository: Repository,
    tagOrDigest: string,
    manifest: ManifestUpload,
    signal?: AbortSignal,
  ): Promise<Digest>
  /** What refers to a manifest: signatures, bills of materials. */
  referrers(repository: Repository, digest: Digest, options?: ReferrersOptions): Promise<readonly Descriptor[]>
  hasBlob(repository: Repository, digest: Digest, signal?: AbortSignal): Promise<boolean>
  /** Whether this client has seen the blob there, or brought it. */
  knowsBlob(repository: Repository, digest: Digest): boolean
  fetchBlob(
    repository: Repository,
    descriptor: Descriptor,
    options?: FetchBlobOptions,
  ): AsyncGenerator<Uint8Array, void, void>
  /** Reads no more from a mirror that gave bytes with another digest. */
  distrust(mirror: Repository): void
  uploadBlob(repository: Repository, descriptor: Descriptor, options: UploadOptions): Promise<UploadOutcome>
  /** Begins the upload of a blob that is still being made, for {@link UploadOptions.begun}; never fails. */
  beginUpload(repository: Repository, signal?: AbortSignal): Promise<URL | undefined>
  /** Bounds of simultaneous transfers, for whoever moves blobs through this client. */
  readonly downloads: Limiter
  readonly uploads: Limiter
  /** Blobs that are on their way to the store: who wants one of them waits for it. */
  readonly pulls: Map<Digest, Promise<unknown>>
  close(): Promise<void>
}

/**
 * See {@link RegistryClient}.
 * @example
 * await using client = createRegistryClient({ insecureRegistries: ['registry.lan:5000'] })
 * const { digest } = await client.fetchManifest(client.repository('debian'), '12')
 */
export function createRegistryClient(
  options: RegistryClientOptions = {},
  transport: MakeTransport = createTransport,
): RegistryClient {
  const connections: Connections = createConnections(options, transport)
  const close = (): Promise<void> => connections.transport.close()
  return {
    repository(reference) {
      const { domain, path } = typeof reference === 'string' ? parseReference(reference) : reference
      return connections.repository(domain, path)
    },
    allowInsecure: (domain) => connections.allowInsecure(domain),
    greet: async (repository, signal) => {
      const { host } = await connections.settled(repository)
      await connections.origin(host, signal)
    },
    resolve: (repository, tagOrDigest, signal) =>
      fromFirst(connections, repository, { tagOrDigest, signal }, (one, source) =>
        resolveManifest(one, source, tagOrDigest, signal),
      ),
    fetchManifest: (repository, tagOrDigest, signal) =>
      fromFirst(connections, repository, { tagOrDigest, signal }, (one, source) =>
        fetchManifest(one, source, tagOrDigest, signal),
      ),
    putManifest: async (repository, tagOrDigest, manifest, signal) => {
      const { digest, isListed } = await putManifest(connections, repository, tagOrDigest, manifest, signal)
      // A registry that keeps no list of what refers to a manifest is told by a tag.
      if (!isListed && Buffer.from(manifest.bytes).includes('"subject"')) {
        const { addToTag } = await import('./referrers/referrers.ts')
        await addToTag(connections, repository, manifest.bytes, signal)
      }
      return digest
    },
    referrers: async (repository, digest, options) => {
      const { listReferrers } = await import('./referrers/referrers.ts')
      return await fromFirst(connections, repository, { tagOrDigest: digest, signal: options?.signal }, (one, source) =>
        listReferrers(one, source, digest, options),
      )
    },
    hasBlob: (repository, digest, signal) => hasBlob(connections, repository, digest, { signal }),
    knowsBlob: (repository, digest) => connections.present.has(`${repositoryName(repository)}@${digest}`),
    fetchBlob: (repository, descriptor, options) => fetchBlobFrom(connections, repository, descriptor, options),
    distrust: ({ host }) => void connections.silent.add(host.address),
    uploadBlob: (repository, descriptor, options) => uploadBlob(connections, repository, descriptor, options),
    beginUpload: (repository, signal) => beginUpload(connections, repository, signal),
    downloads: connections.downloads,
    uploads: connections.uploads,
    pulls: new Map(),
    close,
    [Symbol.asyncDispose]: close,
  }
}

/** The tag or digest that a reference asks for; a digest goes before a tag, nothing is `latest`. */
export function tagOrDigestOf(reference: ImageReference): string {
  const { tag, digest } = withDefaultTag(reference)
  return digest ?? tag!
}
