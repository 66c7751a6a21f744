import { createReadStream, existsSync, readFileSync, statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { BuilderError } from '../../../base/errors.ts'
import { readAttributes } from '../../../exporters/attributes.ts'
import { LAYOUT_FILE, REF_NAME } from '../../../exporters/layout-index.ts'
import { writeLayoutDirectory } from '../../../exporters/oci/directory.ts'
import { digestHex, digestOf, parseDigest, type Digest } from '../../../oci/digest.ts'
import { createIndex, parseIndex, serializeIndex } from '../../../oci/image-index.ts'
import type { Descriptor } from '../../../oci/types.ts'
import { readExportAttributes, readManifestForm, required } from '../attributes.ts'
import { cacheDocuments, leftOutLine, MAX_READ_BYTES, readCaches, type CacheDocuments } from '../manifest.ts'
import type { CacheBackend, CacheSpec, ImportedCache, PreparedCacheExport, PreparedImport } from '../types.ts'

const SCHEME = 'cache+local://'
/** A layout of a hundred thousand tags has less. */
const MAX_INDEX_BYTES = 64 << 20

/** `type=local,src=DIRECTORY` and `dest=DIRECTORY`: an OCI layout, as BuildKit has it. */
export const backend: CacheBackend = { prepareImport, prepareExport }

function prepareImport({ attrs }: CacheSpec): PreparedImport {
  const attributes = readAttributes('local', attrs, 'cache')
  const src = required(attributes, 'local', 'src')
  const tag = attributes.text('tag') || 'latest'
  const wanted = attributes.text('digest')
  attributes.end()
  const digest = wanted === undefined || wanted === '' ? undefined : parseDigest(wanted)
  const directory = resolve(src)
  return {
    name: `importing cache manifest from local:${digest ?? src}`,
    load: () => load(directory, tag, digest),
    blobs: {
      scheme: SCHEME,
      open: (reference, descriptor, signal) =>
        createReadStream(blobPath(reference.slice(SCHEME.length), descriptor.digest), {
          highWaterMark: 1 << 20,
          signal,
        }),
    },
  }
}

async function load(directory: string, tag: string, digest: Digest | undefined): Promise<readonly ImportedCache[]> {
  const index = join(directory, 'index.json')
  // The first build of all finds none.
  if (!existsSync(index)) return []
  const found = digest ?? digestOfTag(index, tag)
  if (found === undefined) return []
  const read = async ({ digest: wanted, size }: Pick<Descriptor, 'digest' | 'size'>): Promise<Uint8Array> => {
    const path = blobPath(directory, wanted)
    const status = statSync(path, { throwIfNoEntry: false })
    if (status?.isFile() === true && (size < 0 ? status.size <= MAX_READ_BYTES : status.size === size))
      return readFileSync(path)
    throw new BuilderError(
      'OCI_CACHE_INVALID',
      `${directory} lacks the blob ${wanted} of its cache, whole and of a size that caches have`,
    )
  }
  const top = await read({ digest: found, size: -1 })
  if (digestOf(top) !== found)
    throw new BuilderError('OCI_DIGEST_MISMATCH', `${directory}: the manifest ${found} of the cache is another one`)
  return readCaches(top, `${SCHEME}${directory}`, read)
}

function digestOfTag(index: string, tag: string): Digest | undefined {
  const { size } = statSync(index)
  if (size > MAX_INDEX_BYTES) throw new BuilderError('OCI_CACHE_INVALID', `${index} has ${size} bytes`)
  const { manifests } = parseIndex(readFileSync(index)).index
  return manifests.find(({ annotations }) => annotations?.[REF_NAME] === tag)?.digest
}

function blobPath(directory: string, digest: Digest): string {
  return join(directory, 'blobs/sha256', digestHex(digest))
}

function prepareExport({ attrs }: CacheSpec): PreparedCacheExport {
  const attributes = readAttributes('local', attrs, 'cache')
  // readAttributes takes `dest` for a place that is no attribute: here it is one.
  const dest = required(attributes, 'local', 'dest')
  const tag = attributes.text('tag') || 'latest'
  const isReset = attributes.flag('reset') ?? false
  const form = readManifestForm(attributes)
  const common = readExportAttributes(attributes, 'local')
  attributes.end()
  const directory = resolve(dest)
  return {
    ...common,
    name: 'exporting cache to client directory',
    write: async (cache, { signal, report }) => {
      const documents = cacheDocuments(cache, form)
      const line = leftOutLine(documents.leftOut, cache.config.records.length)
      if (line !== undefined) report(line, { isDone: true })
      const entry = { ...documents.manifest.descriptor, annotations: { [REF_NAME]: tag } }
      await writeLayoutDirectory(directory, filesOf(documents, entry), [entry], signal)
      report(`writing cache ${form.isImage ? 'image ' : ''}manifest ${entry.digest}`, { isDone: true })
      if (isReset) await (await import('./reset.ts')).removeUnnamed(directory, signal)
    },
  }
}

function filesOf(
  { manifest, config, layers }: CacheDocuments,
  entry: Descriptor,
): Parameters<typeof writeLayoutDirectory>[1] {
  const name = (digest: Digest): string => `blobs/sha256/${digestHex(digest)}`
  return [
    { name: 'oci-layout', bytes: Buffer.from(LAYOUT_FILE) },
    { name: 'index.json', bytes: serializeIndex(createIndex([entry]), 'compact') },
    ...layers.map(({ descriptor, open }) => ({
      name: name(descriptor.digest),
      blob: { digest: descriptor.digest, size: descriptor.size, open },
    })),
    ...[config, manifest].map(({ descriptor, bytes }) => ({ name: name(descriptor.digest), bytes })),
  ]
}
