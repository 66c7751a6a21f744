import { BuilderError, isTsOciError } from '../base/errors.ts'
import type { Session } from '../build/session-types.ts'
import { describe } from '../oci/descriptor.ts'
import { digestOf } from '../oci/digest.ts'
import { MAX_CONFIG_BYTES } from '../oci/image-config.ts'
import { looksLikeIndex, parseIndex } from '../oci/image-index.ts'
import { parseDocument, parseManifest } from '../oci/manifest.ts'
import { isConfigType } from '../oci/media-types.ts'
import { formatReference, type ImageReference, repositoryOf } from '../oci/reference.ts'
import type { Descriptor, Platform } from '../oci/types.ts'

/** A manifest or an index as a registry has it. */
export interface RemoteDocument {
  readonly reference: ImageReference
  readonly bytes: Uint8Array
  readonly descriptor: Descriptor
  readonly isIndex: boolean
}

/** @throws OCI_REGISTRY_…, OCI_DIGEST_MISMATCH, OCI_MANIFEST_INVALID */
export async function fetchDocument(session: Session, reference: ImageReference): Promise<RemoteDocument> {
  const { tagOrDigestOf } = await import('../registry/index.ts')
  const client = await session.registry()
  const { signal } = session
  const { bytes, contentType } = await client.fetchManifest(
    client.repository(reference),
    tagOrDigestOf(reference),
    signal,
  )
  const isIndex = looksLikeIndex(bytes, contentType)
  const { mediaType } = isIndex ? parseIndex(bytes, contentType) : parseManifest(bytes, contentType)
  return { reference, bytes, descriptor: describe(bytes, mediaType), isIndex }
}

/** The config of a manifest in its repository, as it was written. */
export async function fetchConfig(
  session: Session,
  reference: ImageReference,
  manifest: Uint8Array,
): Promise<Record<string, unknown>> {
  const { config } = parseManifest(manifest).manifest
  const name = formatReference(reference)
  if (config.size > MAX_CONFIG_BYTES)
    throw new BuilderError('OCI_CONFIG_INVALID', `the config of ${name} is larger than ${MAX_CONFIG_BYTES} bytes`)
  const client = await session.registry()
  const chunks: Uint8Array[] = []
  for await (const chunk of client.fetchBlob(client.repository(reference), config, { signal: session.signal }))
    chunks.push(Uint8Array.from(chunk))
  const bytes = Buffer.concat(chunks)
  if (digestOf(bytes) !== config.digest)
    throw new BuilderError('OCI_DIGEST_MISMATCH', `the config of ${name} has another digest than its manifest says`)
  return parseDocument(bytes)
}

/** What the config of a manifest says; undefined for the manifest of an artifact. */
export async function platformOf(session: Session, document: RemoteDocument): Promise<Platform | undefined> {
  if (!isConfigType(parseManifest(document.bytes).manifest.config.mediaType)) return undefined
  const config = await fetchConfig(session, document.reference, document.bytes)
  const text = (name: string): string => (typeof config[name] === 'string' ? config[name] : '')
  return {
    architecture: text('architecture'),
    os: text('os'),
    ...(text('os.version') === '' ? {} : { 'os.version': text('os.version') }),
    ...(Array.isArray(config['os.features']) ? { 'os.features': config['os.features'] as string[] } : {}),
    ...(text('variant') === '' ? {} : { variant: text('variant') }),
  }
}

/** Undefined where the registry has no such name. */
export async function ifThere<Result>(ask: Promise<Result>): Promise<Result | undefined> {
  try {
    return await ask
  } catch (error) {
    if (isTsOciError(error) && error.code === 'OCI_REGISTRY_NOT_FOUND') return undefined
    throw error
  }
}

/** The same repository, and what a digest means there. */
export function inRepository(reference: ImageReference, digest: string): ImageReference {
  const { domain, path } = reference
  return { domain, path, digest }
}

export function isSameRepository(left: ImageReference, right: ImageReference): boolean {
  return repositoryOf(left) === repositoryOf(right)
}
