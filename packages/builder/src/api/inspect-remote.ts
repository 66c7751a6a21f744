import type { CommonOptions, RegistryOptions, RemoteInspection } from '../build/public-types.ts'
import { sessionOf } from '../build/session.ts'
import { orderDescriptor } from '../oci/descriptor.ts'
import { orderConfig } from '../oci/ordered-config.ts'
import type { ImageIndex } from '../oci/types.ts'
import { parseIndex } from '../oci/image-index.ts'
import { indexEntries, isBesideImages } from '../oci/index-entries.ts'
import { parseManifest } from '../oci/manifest.ts'
import { isConfigType } from '../oci/media-types.ts'
import { formatPlatform, normalizePlatform } from '../oci/platform.ts'
import { formatReference, parseReference, withDefaultTag } from '../oci/reference.ts'
import { fetchConfig, fetchDocument, inRepository } from './remote-documents.ts'

/**
 * What a registry has under a name, without fetching a layer.
 * @param options `withConfigs`: also the configs of its images
 * @throws OCI_REGISTRY_…, OCI_DIGEST_MISMATCH
 */
export async function inspectRemote(
  image: string,
  options: CommonOptions & RegistryOptions & { readonly withConfigs?: boolean } = {},
): Promise<RemoteInspection> {
  const reference = withDefaultTag(parseReference(image))
  await using session = await sessionOf(options)
  const { bytes, descriptor, isIndex } = await fetchDocument(session, reference)
  const configs: Record<string, Readonly<Record<string, unknown>>> = {}
  const addConfig = async (platform: string | undefined, manifest: Uint8Array): Promise<void> => {
    if (!isConfigType(parseManifest(manifest).manifest.config.mediaType)) return
    const config = await fetchConfig(session, reference, manifest)
    const { os = '', architecture = '', variant } = config as { os?: string; architecture?: string; variant?: string }
    const own = { os, architecture, ...(variant === undefined ? {} : { variant }) }
    configs[platform ?? formatPlatform(normalizePlatform(own))] = withoutUndefined(orderConfig(config))
  }
  if (options.withConfigs === true && !isIndex) await addConfig(undefined, bytes)
  if (options.withConfigs === true && isIndex) {
    const entries = indexEntries(bytes, () => undefined).filter((entry) => !isBesideImages(entry))
    await Promise.all(
      entries.map(async (entry) => {
        const { bytes: manifest } = await fetchDocument(session, inRepository(reference, entry.digest))
        await addConfig(entry.platform && formatPlatform(normalizePlatform(entry.platform)), manifest)
      }),
    )
  }
  return {
    name: formatReference(reference),
    bytes,
    descriptor,
    ...(isIndex ? { index: orderedIndex(bytes) } : {}),
    configs,
  }
}

/** Members in the order of image-spec's Go types. */
function orderedIndex(bytes: Uint8Array): ImageIndex {
  const { index } = parseIndex(bytes)
  return { ...index, manifests: index.manifests.map((entry) => withoutUndefined(orderDescriptor(entry))) }
}

function withoutUndefined<Value extends object>(value: Value): Value {
  return JSON.parse(JSON.stringify(value)) as Value
}
