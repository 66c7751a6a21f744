import { BuilderError } from '../../base/errors.ts'
import { runAll } from '../../base/run-all.ts'
import { digestOf } from '../../oci/digest.ts'
import { MAX_CONFIG_BYTES } from '../../oci/image-config.ts'
import { looksLikeIndex, parseIndex } from '../../oci/image-index.ts'
import { parseManifest } from '../../oci/manifest.ts'
import { isIndexType, isManifestType } from '../../oci/media-types.ts'
import {
  formatReference,
  parseReference,
  repositoryOf,
  withDefaultTag,
  type ImageReference,
} from '../../oci/reference.ts'
import type { Descriptor } from '../../oci/types.ts'
import { tagOrDigestOf, type RegistryClient, type Repository } from '../../registry/index.ts'
import { mismatch } from '../../store/blobs.ts'
import { writtenImage } from '../layout/layout-files.ts'
import type { Bundle, PlaceOptions, SourceImage, Transport, TransportBlob, TransportContext } from '../types.ts'

/** `docker://NAME[:TAG|@DIGEST]`: a registry. */
export const transport: Transport = {
  async open(rest, options, context) {
    const reference = parsePlaceName(rest)
    const client = await clientFor(reference, options, context)
    const image = await openImage(client, reference, context.signal)
    return { images: [image], [Symbol.asyncDispose]: async () => undefined }
  },
  async target(rest, options, context) {
    const reference = parsePlaceName(rest)
    const client = await clientFor(reference, options, context)
    return {
      takesIndex: true,
      wantsCompressed: true,
      async write([bundle]) {
        await send(client, reference, bundle!, context)
        return [writtenImage({ ...bundle!, names: [formatReference(reference)] })]
      },
    }
  },
}

/** What was said of the place is about its host alone. */
function clientFor(
  { domain }: ImageReference,
  { credentials, authFile, isAnonymous, isTlsVerified }: PlaceOptions,
  context: TransportContext,
): Promise<RegistryClient> {
  const isPlain = credentials === undefined && authFile === undefined && isAnonymous !== true && isTlsVerified !== false
  return context.registry(isPlain ? {} : { credentials, authFile, isAnonymous, isTlsVerified, registry: domain })
}

/** @throws OCI_OPTION_INVALID, OCI_REFERENCE_INVALID */
function parsePlaceName(rest: string): ImageReference {
  if (!rest.startsWith('//'))
    throw new BuilderError('OCI_OPTION_INVALID', `docker:${rest} names no registry`, { hint: `docker://${rest}` })
  return withDefaultTag(parseReference(rest.slice(2)))
}

async function openImage(client: RegistryClient, reference: ImageReference, signal: AbortSignal): Promise<SourceImage> {
  const repository = client.repository(reference)
  const { bytes, contentType, digest } = await client.fetchManifest(repository, tagOrDigestOf(reference), signal)
  const { mediaType } = looksLikeIndex(bytes, contentType)
    ? parseIndex(bytes, contentType)
    : parseManifest(bytes, contentType)
  return {
    root: { bytes, descriptor: { mediaType, digest, size: bytes.length } },
    names: reference.digest === undefined ? [formatReference(reference)] : [],
    isMade: false,
    read: async (descriptor, stop) =>
      isIndexType(descriptor.mediaType) || isManifestType(descriptor.mediaType)
        ? (await client.fetchManifest(repository, descriptor.digest, stop)).bytes
        : readSmall(client, repository, descriptor, stop),
    blob: (descriptor) => ({
      descriptor,
      repositories: [repositoryOf(reference)],
      open: (stop, offset = 0) => client.fetchBlob(repository, descriptor, { signal: stop, offset }),
    }),
  }
}

async function readSmall(
  client: RegistryClient,
  repository: Repository,
  descriptor: Descriptor,
  signal: AbortSignal | undefined,
): Promise<Uint8Array> {
  if (descriptor.size > MAX_CONFIG_BYTES)
    throw new BuilderError(
      'OCI_CONFIG_INVALID',
      `a config of ${descriptor.size} bytes is larger than ${MAX_CONFIG_BYTES}`,
    )
  const chunks: Uint8Array[] = []
  for await (const chunk of client.fetchBlob(repository, descriptor, { signal })) chunks.push(Buffer.from(chunk))
  const bytes = Buffer.concat(chunks)
  const digest = digestOf(bytes)
  if (digest !== descriptor.digest) throw mismatch(descriptor, { digest, sizeBytes: bytes.length })
  return bytes
}

/** Blobs first, beside each other; the name last, so that nobody sees half of it. */
async function send(
  client: RegistryClient,
  reference: ImageReference,
  bundle: Bundle,
  context: TransportContext,
): Promise<void> {
  const repository = client.repository(reference)
  const { root, children } = bundle
  if (reference.digest !== undefined && reference.digest !== root.descriptor.digest)
    throw new BuilderError(
      'OCI_DIGEST_MISMATCH',
      `the image has digest ${root.descriptor.digest}, not ${reference.digest}`,
      {
        hint: 'name a tag, or leave the conversion out',
      },
    )
  await runAll(
    bundle.blobs.map((blob) => (stop: AbortSignal) => sendBlob(client, repository, blob, context, stop)),
    context.signal,
  )
  for (const { bytes, descriptor } of children)
    await client.putManifest(repository, descriptor.digest, { bytes, mediaType: descriptor.mediaType }, context.signal)
  const upload = { bytes: root.bytes, mediaType: root.descriptor.mediaType }
  await client.putManifest(repository, reference.digest ?? reference.tag!, upload, context.signal)
}

async function sendBlob(
  client: RegistryClient,
  repository: Repository,
  blob: TransportBlob,
  context: TransportContext,
  signal: AbortSignal,
): Promise<void> {
  const { descriptor } = blob
  const sources = blob.repositories.map((name) => client.repository(name))
  const mountFrom = sources.filter(({ host }) => host.address === repository.host.address).map(({ path }) => path)
  const total = descriptor.size
  await client.uploadBlob(repository, descriptor, {
    open: (offset) => blob.open(signal, offset),
    mountFrom: [...new Set(mountFrom)],
    signal,
    onProgress: (current) => context.report(descriptor.digest, { current, total }),
  })
  context.report(descriptor.digest, { current: total, total, isDone: true })
}
