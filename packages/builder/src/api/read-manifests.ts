import type { CommonOptions, NamedManifest, RegistryOptions } from '../build/public-types.ts'
import { sessionOf } from '../build/session.ts'
import type { Session } from '../build/session-types.ts'
import { parseIndex } from '../oci/image-index.ts'
import { isIndexType } from '../oci/media-types.ts'
import {
  canonicalName,
  formatReference,
  type ImageReference,
  parseReference,
  withDefaultTag,
} from '../oci/reference.ts'
import type { Descriptor } from '../oci/types.ts'
import { readList } from './manifest-list-files.ts'
import { fetchDocument, inRepository, platformOf } from './remote-documents.ts'

/**
 * The manifests that a list made here, or a name in a registry, leads to, as registries have them, with their platforms.
 * @returns `isList`: whether there may be several of them
 * @throws OCI_REGISTRY_…, OCI_DIGEST_MISMATCH
 */
export async function readManifests(
  name: string,
  options: CommonOptions & RegistryOptions = {},
): Promise<{ readonly isList: boolean; readonly manifests: readonly NamedManifest[] }> {
  await using session = await sessionOf(options)
  const own = readList(session, canonicalName(name))?.entries
  if (own !== undefined) {
    const entries = own.map(({ reference, descriptor }) => ({ reference: parseReference(reference), descriptor }))
    return { isList: true, manifests: await readEntries(session, entries) }
  }
  const reference = withDefaultTag(parseReference(name))
  const document = await fetchDocument(session, reference)
  const { bytes, descriptor, isIndex } = document
  if (isIndex) {
    const entries = parseIndex(bytes).index.manifests.map((entry) => ({ reference, descriptor: entry }))
    return { isList: true, manifests: await readEntries(session, entries) }
  }
  const platform = await platformOf(session, document)
  return {
    isList: false,
    manifests: [{ name: formatReference(reference), descriptor: { ...descriptor, platform }, bytes }],
  }
}

async function readEntries(
  session: Session,
  entries: readonly { readonly reference: ImageReference; readonly descriptor: Descriptor }[],
): Promise<readonly NamedManifest[]> {
  const manifests = entries.filter(({ descriptor }) => !isIndexType(descriptor.mediaType))
  return await Promise.all(
    manifests.map(async ({ reference, descriptor }) => {
      const { bytes } = await fetchDocument(session, inRepository(reference, descriptor.digest))
      const name = formatReference(reference)
      return { name: name.includes('@') ? name : `${name}@${descriptor.digest}`, descriptor, bytes }
    }),
  )
}
