import { BuilderError, isTsOciError } from '../../base/errors.ts'
import { digestOf, isDigest, type Digest } from '../../oci/digest.ts'
import { parseIndex, serializeIndex } from '../../oci/image-index.ts'
import { MAX_MANIFEST_BYTES, parseManifest } from '../../oci/manifest.ts'
import { MediaType } from '../../oci/media-types.ts'
import type { Descriptor, ImageIndex } from '../../oci/types.ts'
import type { Connections } from '../connections.ts'
import { type Repository, repositoryName } from '../host.ts'
import { fetchManifest, putManifest } from '../manifests.ts'
import { resolveLocation, send } from '../request.ts'
import { readDocument } from '../response-errors.ts'
import { discard, headerOf } from '../transport.ts'

export interface ReferrersOptions {
  /** Only those of this type. */
  readonly artifactType?: string | undefined
  readonly signal?: AbortSignal | undefined
}

/** An index without an end would be read for ever. */
const MAX_PAGES = 100
/** Somebody else may write the same tag between a read and a write of ours. */
const MAX_TRIES = 4

/**
 * What refers to a manifest (signatures, bills of materials): by the registry's own list, and by the tag that stands for it
 * where a registry has none (distribution-spec, Listing Referrers). Empty where nothing does.
 * @throws OCI_REGISTRY_…, OCI_MANIFEST_INVALID
 */
export async function listReferrers(
  connections: Connections,
  repository: Repository,
  digest: Digest,
  options: ReferrersOptions = {},
): Promise<readonly Descriptor[]> {
  const { artifactType } = options
  const found =
    (await listOfRegistry(connections, repository, digest, options)) ??
    (await listOfTag(connections, repository, digest, options)).manifests
  // A registry need not filter, and a tag cannot.
  return found.filter((one) => artifactType === undefined || one.artifactType === artifactType)
}

/** Undefined: the registry keeps no such list. */
async function listOfRegistry(
  connections: Connections,
  repository: Repository,
  digest: Digest,
  { artifactType, signal }: ReferrersOptions,
): Promise<readonly Descriptor[] | undefined> {
  const what = `referrers of ${repositoryName(repository)}@${digest}`
  const filter = artifactType === undefined ? '' : `?artifactType=${encodeURIComponent(artifactType)}`
  const limits = { maxBytes: MAX_MANIFEST_BYTES, deadlineMs: connections.options.timeouts.documentMs }
  const found: Descriptor[] = []
  let target: string | URL = `referrers/${digest}${filter}`
  for (let page = 0; page < MAX_PAGES; page++) {
    const headers = { accept: MediaType.ociIndex }
    const response = await send(connections, {
      method: 'GET',
      repository,
      target,
      actions: 'pull',
      headers,
      signal,
      what,
      expect: [200, 404, 405],
    })
    // distribution answers 404, some gateways with a page of their own.
    const isIndex = headerOf(response, 'content-type')?.startsWith(MediaType.ociIndex) === true
    if (response.status !== 200 || !isIndex) {
      await discard(response)
      return page === 0 ? undefined : found
    }
    found.push(...parseIndex(await readDocument(response, limits, what), MediaType.ociIndex).index.manifests)
    const next = /<([^>]*)>\s*;\s*rel="?next"?/i.exec(headerOf(response, 'link') ?? '')?.[1]
    if (next === undefined) return found
    target = resolveLocation(next, response.url, { what, repository })
    if (target.origin !== response.url.origin)
      throw new BuilderError('OCI_REGISTRY_PROTOCOL', `${what}: the next page is said to be on ${target.host}`, {
        hint: 'check that this is a registry',
      })
  }
  throw new BuilderError('OCI_REGISTRY_PROTOCOL', `${what}: more than ${MAX_PAGES} pages`, {
    hint: 'the registry lists without an end',
  })
}

/** `sha256:abc` → `sha256-abc` (distribution-spec, Referrers Tag Schema). */
function tagOf(digest: Digest): string {
  const [algorithm = '', hash = ''] = digest.split(':')
  return `${algorithm.slice(0, 32)}-${hash.slice(0, 64)}`
}

async function listOfTag(
  connections: Connections,
  repository: Repository,
  digest: Digest,
  { signal }: ReferrersOptions,
): Promise<ImageIndex> {
  try {
    const { bytes, contentType } = await fetchManifest(connections, repository, tagOf(digest), signal)
    return parseIndex(bytes, contentType).index
  } catch (error) {
    if (isTsOciError(error) && error.code === 'OCI_REGISTRY_NOT_FOUND')
      return { schemaVersion: 2, mediaType: MediaType.ociIndex, manifests: [] }
    throw error
  }
}

/**
 * Tells a registry without a list of its own that a manifest which was pushed refers to another: the tag that stands for the
 * list gets an entry (distribution-spec, Pushing Manifests with Subject).
 */
export async function addToTag(
  connections: Connections,
  repository: Repository,
  bytes: Uint8Array,
  signal: AbortSignal | undefined,
): Promise<void> {
  const entry = entryOf(bytes)
  if (entry === undefined) return
  for (let attempt = 0; attempt < MAX_TRIES; attempt++) {
    const index = await listOfTag(connections, repository, entry.subject, { signal })
    // Read again what was written: of two who write at once both are to stand there.
    if (index.manifests.some(({ digest }) => digest === entry.descriptor.digest)) return
    const raw = serializeIndex({ ...index, manifests: [...index.manifests, entry.descriptor] }, 'indented')
    await putManifest(
      connections,
      repository,
      tagOf(entry.subject),
      { bytes: raw, mediaType: MediaType.ociIndex },
      signal,
    )
  }
}

function entryOf(bytes: Uint8Array): { readonly subject: Digest; readonly descriptor: Descriptor } | undefined {
  const value = JSON.parse(Buffer.from(bytes).toString('utf8')) as {
    subject?: { digest?: unknown }
    manifests?: unknown
  }
  const subject = value.subject?.digest
  if (typeof subject !== 'string' || !isDigest(subject)) return undefined
  const size = bytes.length
  const digest = digestOf(bytes)
  if (value.manifests !== undefined) {
    const { index, mediaType } = parseIndex(bytes)
    const { artifactType } = value as { artifactType?: unknown }
    const more = {
      ...(typeof artifactType === 'string' ? { artifactType } : {}),
      ...withAnnotations(index.annotations),
    }
    return { subject, descriptor: { mediaType, digest, size, ...more } }
  }
  const { manifest, mediaType } = parseManifest(bytes)
  const artifactType = manifest.artifactType ?? manifest.config.mediaType
  return { subject, descriptor: { mediaType, digest, size, artifactType, ...withAnnotations(manifest.annotations) } }
}

function withAnnotations(annotations: Readonly<Record<string, string>> | undefined): Partial<Descriptor> {
  return annotations === undefined ? {} : { annotations }
}
