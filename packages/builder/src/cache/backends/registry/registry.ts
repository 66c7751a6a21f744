import { isTsOciError } from '../../../base/errors.ts'
import { readAttributes } from '../../../exporters/attributes.ts'
import {
  parseReference,
  formatFamiliar,
  formatReference,
  repositoryOf,
  withDefaultTag,
} from '../../../oci/reference.ts'
import type { ImageReference } from '../../../oci/reference.ts'
import { tagOrDigestOf } from '../../../registry/client.ts'
import { readExportAttributes, readManifestForm, required } from '../attributes.ts'
import { cacheDocuments, leftOutLine, readCaches } from '../manifest.ts'
import type {
  CacheBackend,
  CacheSpec,
  ImportContext,
  ImportedCache,
  PreparedCacheExport,
  PreparedImport,
} from '../types.ts'

/** References of layers that a cache in a registry has: a repository, told from that of an image. */
export const REGISTRY_SCHEME = 'cache+registry://'

/** `type=registry,ref=NAME`: a manifest of its own, or the image that has its cache inside. */
export const backend: CacheBackend = { prepareImport, prepareExport }

function prepareImport({ attrs }: CacheSpec): PreparedImport {
  const attributes = readAttributes('registry', attrs, 'cache')
  const reference = withDefaultTag(parseReference(required(attributes, 'registry', 'ref')))
  const isInsecure = attributes.flag('registry.insecure') ?? false
  attributes.end()
  return {
    name: `importing cache manifest from ${formatFamiliar(reference)}`,
    load: (context) => load(reference, isInsecure, context),
  }
}

async function load(
  reference: ImageReference,
  isInsecure: boolean,
  { registry, signal }: ImportContext,
): Promise<readonly ImportedCache[]> {
  const client = await registry()
  if (isInsecure) client.allowInsecure(reference.domain)
  const repository = client.repository(reference)
  try {
    const { bytes } = await client.fetchManifest(repository, tagOrDigestOf(reference), signal)
    return await readCaches(bytes, `${REGISTRY_SCHEME}${repositoryOf(reference)}`, async (descriptor) => {
      if (/manifest|index/.test(descriptor.mediaType))
        return (await client.fetchManifest(repository, descriptor.digest, signal)).bytes
      const chunks: Uint8Array[] = []
      for await (const chunk of client.fetchBlob(repository, { ...descriptor }, { signal }))
        chunks.push(Buffer.from(chunk))
      return Buffer.concat(chunks)
    })
  } catch (error) {
    // The first build of all finds none.
    if (isTsOciError(error) && error.code === 'OCI_REGISTRY_NOT_FOUND') return []
    throw error
  }
}

function prepareExport({ attrs }: CacheSpec): PreparedCacheExport {
  const attributes = readAttributes('registry', attrs, 'cache')
  const reference = withDefaultTag(parseReference(required(attributes, 'registry', 'ref')))
  const isInsecure = attributes.flag('registry.insecure') ?? false
  const form = readManifestForm(attributes)
  const common = readExportAttributes(attributes, 'registry')
  attributes.end()
  return {
    ...common,
    name: 'exporting cache to registry',
    write: async (cache, { push, report }) => {
      const { manifest, config, layers, leftOut } = cacheDocuments(cache, form)
      const line = leftOutLine(leftOut, cache.config.records.length)
      if (line !== undefined) report(line, { isDone: true })
      report(`writing cache ${form.isImage ? 'image ' : ''}manifest ${manifest.descriptor.digest}`)
      await push({ reference: formatReference(reference), isInsecure, manifest, config, layers })
      report(`writing cache ${form.isImage ? 'image ' : ''}manifest ${manifest.descriptor.digest}`, { isDone: true })
    },
  }
}
