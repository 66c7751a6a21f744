import { BuilderError } from '../base/errors.ts'
import { type Digest, digestOf, isDigest, parseDigest } from '../oci/digest.ts'
import { MAX_MANIFEST_BYTES } from '../oci/manifest.ts'
import { MANIFEST_ACCEPT } from '../oci/media-types.ts'
import { type Repository, repositoryName } from './host.ts'
import { pause, withRetries } from './retry.ts'
import { send, type RegistryRequest, type RegistryResponse } from './request.ts'
import { readDocument } from './response-errors.ts'
import type { Connections } from './connections.ts'
import { discard, headerOf } from './transport.ts'

/** A manifest or index as the registry sent it; `digest` is that of `bytes`. */
export interface FetchedManifest {
  readonly bytes: Uint8Array
  readonly digest: Digest
  /** The response's Content-Type. */
  readonly contentType: string
}

export interface ResolvedManifest {
  readonly digest: Digest
  readonly contentType: string
  readonly sizeBytes: number | undefined
}

/** Asks what a tag points to, without fetching it; undefined when the registry does not say. @throws OCI_REGISTRY_NOT_FOUND */
export async function resolveManifest(
  connections: Connections,
  repository: Repository,
  tagOrDigest: string,
  signal?: AbortSignal,
): Promise<ResolvedManifest | undefined> {
  const response = await send(connections, { ...manifestRequest(repository, tagOrDigest, signal), method: 'HEAD' })
  await discard(response)
  const digest = headerOf(response, 'docker-content-digest')
  if (digest === undefined || !isDigest(digest)) return undefined
  if (isDigest(tagOrDigest) && digest !== tagOrDigest) throw wrongDigest(repository, tagOrDigest, digest)
  const length = Number(headerOf(response, 'content-length') ?? Number.NaN)
  return {
    digest,
    contentType: headerOf(response, 'content-type') ?? '',
    sizeBytes: Number.isSafeInteger(length) ? length : undefined,
  }
}

/**
 * Fetches a manifest or index by tag or digest; verified against the digest, and against what the registry itself says.
 * @throws OCI_REGISTRY_NOT_FOUND, OCI_DIGEST_MISMATCH, OCI_REGISTRY_PROTOCOL (larger than 4 MiB)
 */
export async function fetchManifest(
  connections: Connections,
  repository: Repository,
  tagOrDigest: string,
  signal?: AbortSignal,
): Promise<FetchedManifest> {
  const request = manifestRequest(repository, tagOrDigest, signal)
  const limits = { maxBytes: MAX_MANIFEST_BYTES, deadlineMs: connections.options.timeouts.documentMs }
  // A document that is cut off is asked for again as one that does not come.
  const { response, bytes } = await withRetries(connections.options, signal, async () => {
    const response = await send(connections, { ...request, retries: 0 })
    return { response, bytes: await readDocument(response, limits, request.what) }
  })
  const digest = digestOf(bytes)
  const told = headerOf(response, 'docker-content-digest')
  const expected = tagOrDigest.includes(':')
    ? parseDigest(tagOrDigest)
    : told !== undefined && isDigest(told)
      ? told
      : digest
  if (digest !== expected) throw wrongDigest(repository, expected, digest)
  return { bytes, digest, contentType: headerOf(response, 'content-type') ?? '' }
}

function manifestRequest(repository: Repository, tagOrDigest: string, signal: AbortSignal | undefined) {
  return {
    method: 'GET' as const,
    repository,
    target: `manifests/${tagOrDigest}`,
    actions: 'pull',
    headers: { accept: MANIFEST_ACCEPT.join(', ') },
    signal,
    what: `manifest ${manifestName(repository, tagOrDigest)}`,
    expect: [200],
  }
}

function manifestName(repository: Repository, tagOrDigest: string): string {
  return `${repositoryName(repository)}${tagOrDigest.includes(':') ? '@' : ':'}${tagOrDigest}`
}

function wrongDigest(repository: Repository, expected: string, found: string): BuilderError {
  return new BuilderError(
    'OCI_DIGEST_MISMATCH',
    `manifest of ${repositoryName(repository)}: expected ${expected}, got ${found}`,
    {
      hint: 'the registry, or a proxy before it, altered it; do not use it',
      details: { expected, found },
    },
  )
}

export interface ManifestUpload {
  readonly bytes: Uint8Array
  readonly mediaType: string
}

/**
 * Stores a manifest under a tag or its digest; `isListed`: the registry says that it keeps the list of what refers to its subject.
 * @throws OCI_DIGEST_MISMATCH when the registry stored something else than it was sent
 */
export async function putManifest(
  connections: Connections,
  repository: Repository,
  tagOrDigest: string,
  manifest: ManifestUpload,
  signal?: AbortSignal,
): Promise<{ readonly digest: Digest; readonly isListed: boolean }> {
  const digest = digestOf(manifest.bytes)
  const request: RegistryRequest = {
    method: 'PUT',
    repository,
    target: `manifests/${tagOrDigest}`,
    actions: 'pull,push',
    headers: { 'content-type': manifest.mediaType },
    body: () => manifest.bytes,
    signal,
    what: `push of manifest ${manifestName(repository, tagOrDigest)}`,
    expect: [200, 201],
  }
  const response = await sendWhenKnown(connections, request)
  await discard(response)
  const told = headerOf(response, 'docker-content-digest')
  if (told !== undefined && told !== digest) throw wrongDigest(repository, digest, told)
  return { digest, isListed: headerOf(response, 'oci-subject') !== undefined }
}

const MAX_WAITS = 3

/**
 * What a manifest names is there before it is sent. A registry may not know that yet: of four that pushed one image to one
 * place at once, every tenth was refused by docker-registry, which reads links that another request is writing.
 */
async function sendWhenKnown(connections: Connections, request: RegistryRequest): Promise<RegistryResponse> {
  const { retries, retryDelayMs } = connections.options
  for (let attempt = 0; ; attempt++) {
    try {
      return await send(connections, request)
    } catch (error) {
      if (!isUnknownYet(error) || attempt >= Math.min(MAX_WAITS, retries)) throw error
      await pause(retryDelayMs * 2 ** attempt, request.signal)
    }
  }
}

function isUnknownYet(error: unknown): boolean {
  if (!(error instanceof BuilderError)) return false
  const { codes, isTransient } = error.details
  return isTransient !== true && Array.isArray(codes) && codes.includes('MANIFEST_BLOB_UNKNOWN')
}
