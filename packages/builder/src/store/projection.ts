import { renameSync, statSync } from 'node:fs'
import { isTsOciError } from '../base/errors.ts'
import { checkDescriptor } from '../oci/descriptor.ts'
import type { Digest } from '../oci/digest.ts'
import { formatTime } from '../oci/go-json.ts'
import { createIndex, parseIndex, serializeIndex } from '../oci/image-index.ts'
import { MediaType } from '../oci/media-types.ts'
import { parseDocument, parseManifest } from '../oci/manifest.ts'
import type { Descriptor, ImageIndex } from '../oci/types.ts'
import { fingerprint } from '../base/fingerprint.ts'
import { readForeignImage, type ForeignImage } from './adopt.ts'
import { replaceFile } from './blobs.ts'
import { insert, NAMED } from './images.ts'
import type { StoredLayers } from './layers.ts'
import type { StorePaths } from './paths.ts'
import { json, number, text, type Metadata, type Row } from './metadata.ts'
import { readStoreFile } from './read-file.ts'
import type { TemporaryNames } from './temporary.ts'
import type { BlobStore } from './types.ts'

/** Annotations of an entry of `index.json`. */
const Annotation = {
  imageName: 'io.containerd.image.name',
  created: 'org.opencontainers.image.created',
  refName: 'org.opencontainers.image.ref.name',
} as const

export interface ProjectionOptions {
  readonly paths: StorePaths
  readonly metadata: Metadata
  readonly temporary: TemporaryNames
  readonly blobs: BlobStore
  readonly layers: StoredLayers
}

/**
 * `index.json` as a picture of the rows, in both directions. Images that lost their name are rows alone: nobody can ask the
 * layout for them, and a store that was used for months has thousands, which each new name would write again.
 */
export interface Projection {
  /** Rewrites `index.json`; called with the write lock held, just before a commit. */
  readonly write: () => void
  /**
   * Takes in what other tools have added to `index.json` since we wrote it, before names change. In a transaction of its
   * own where none is open: whoever is killed between the writing of `index.json`, which signs it, and the commit would
   * leave their images neither in the rows nor known as theirs.
   */
  readonly takeNew: () => void
  /** As `takeNew`, and writes `index.json`. Costs one `stat` when nothing was added. */
  adopt(): void
}

export function createProjection(options: ProjectionOptions): Projection {
  const { paths, metadata, temporary } = options

  function write(): void {
    const before = entriesBefore(options)
    replaceFile(paths.index, temporary.next('index'), sign(createIndex(descriptors(options, before))))
    rememberStamp(metadata, stampOf(paths.index))
  }

  function takeNew(): void {
    const stamp = stampOf(paths.index)
    const known = setting(metadata, STAMP)
    if (stamp !== undefined && stamp === known) return
    const bytes = stamp === undefined ? undefined : readStoreFile(paths.index, MAX_INDEX_BYTES)
    const { index, isWhole } = bytes === undefined ? { index: undefined, isWhole: true } : readIndex(bytes)
    if (bytes !== undefined && !isWhole) keepAside(paths, bytes)
    // One that is wholly ours says nothing new: a process that was killed may have left it ahead of the rows, or behind.
    // But to a database that never wrote one it tells what the lost one held.
    if (index === undefined) return
    if (known === undefined || !isOwn(index)) takeIn(options, index.manifests)
    // One that we wrote and that the rows do not know was cut off before its commit: it is to be written anew.
    if (!isOwn(index)) rememberStamp(metadata, stamp)
  }

  function isChanged(): boolean {
    const stamp = stampOf(paths.index)
    return stamp === undefined || stamp !== setting(metadata, STAMP)
  }

  function takeNewFirst(): void {
    if (isChanged()) metadata.transaction(takeNew)
  }

  function adopt(): void {
    if (!isChanged()) return
    metadata.transaction(takeNew)
    metadata.transaction(write)
  }

  return { write, takeNew: takeNewFirst, adopt }
}

const STAMP = 'index_stamp'
/** Above what {@link parseIndex} takes: such a file is kept, and not read. */
const MAX_INDEX_BYTES = 256 * 1024 * 1024

/** What we cannot read is not ours to throw away: somebody may know what it was. */
function keepAside(paths: StorePaths, bytes: Uint8Array): void {
  if (bytes.length > 0) renameSync(paths.index, `${paths.index}.unreadable`)
}

/** Of the rest of `index.json`: tells one that we wrote, at whatever time, from one that another tool has changed. */
const SIGNATURE = 'ts-oci.projection'

function sign(index: ImageIndex): Uint8Array {
  return serializeIndex({ ...index, annotations: { [SIGNATURE]: signatureOf(index) } }, 'compact')
}

function signatureOf({ manifests }: ImageIndex): string {
  return fingerprint(Buffer.from(serializeIndex(createIndex(manifests), 'compact')).toString('latin1'))
}

function isOwn(index: ImageIndex): boolean {
  return index.annotations?.[SIGNATURE] === signatureOf(index)
}

interface ReadIndex {
  /** Undefined when nothing in it can be read. */
  readonly index: ImageIndex | undefined
  /** All of it was understood: written anew, it loses nothing. */
  readonly isWhole: boolean
}

/** One entry that we cannot read (of another digest algorithm, say) does not hide the others. */
function readIndex(bytes: Uint8Array): ReadIndex {
  try {
    return { index: parseIndex(bytes, MediaType.ociIndex).index, isWhole: true }
  } catch {
    return { index: readEntries(bytes), isWhole: false }
  }
}

function readEntries(bytes: Uint8Array): ImageIndex | undefined {
  try {
    const document = parseDocument(bytes)
    const entries = (document['manifests'] as unknown[]).filter(isDescriptor)
    return parseIndex(Buffer.from(JSON.stringify({ ...document, manifests: entries })), MediaType.ociIndex).index
  } catch {
    return undefined
  }
}

function isDescriptor(value: unknown): boolean {
  try {
    checkDescriptor(value, 'entry')
    return true
  } catch {
    return false
  }
}

/** Tells whether the file is the one that was written last, with one `stat`. */
function stampOf(path: string): string | undefined {
  const stat = statSync(path, { throwIfNoEntry: false, bigint: true })
  return stat === undefined ? undefined : `${stat.ino}-${stat.size}-${stat.mtimeNs}`
}

function setting(metadata: Metadata, key: string): string | undefined {
  const row = metadata.get('SELECT value FROM settings WHERE key = ?', key)
  return row === undefined ? undefined : text(row, 'value')
}

function rememberStamp(metadata: Metadata, stamp: string | undefined): void {
  const sql = 'INSERT INTO settings (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value'
  metadata.run(sql, STAMP, stamp ?? '')
}

type KnownEntries = ReadonlyMap<string, Pick<Descriptor, 'mediaType' | 'size'>>

/**
 * What the last `index.json` says of the manifests in it, if it is the one that we wrote: a store with a hundred images
 * would have as many files to read for each new name.
 */
function entriesBefore({ paths, metadata }: ProjectionOptions): KnownEntries {
  const stamp = stampOf(paths.index)
  const bytes =
    stamp === undefined || stamp !== setting(metadata, STAMP) ? undefined : readStoreFile(paths.index, MAX_INDEX_BYTES)
  if (bytes === undefined) return new Map()
  const { manifests } = JSON.parse(Buffer.from(bytes).toString('utf8')) as ImageIndex
  return new Map(manifests.map((entry) => [entry.digest, entry]))
}

function descriptors(options: ProjectionOptions, before: KnownEntries = new Map()): Descriptor[] {
  const foreign = options.metadata.all('SELECT * FROM foreign_entries ORDER BY id')
  const taken = new Set(foreign.map((row) => text(row, 'name')))
  const rows = options.metadata.all(NAMED).filter((row) => !taken.has(text(row, 'name')))
  const own = rows.flatMap((row) => imageDescriptor(options.blobs, row, before) ?? [])
  return [...own, ...foreign.map((row) => json<Descriptor>(row, 'descriptor'))]
}

/** Undefined when the manifest is gone: an index may not name what is not there. */
function imageDescriptor(blobs: BlobStore, row: Row, before: KnownEntries): Descriptor | undefined {
  const isOne = row['platforms'] === null
  const digest = isOne
    ? (text(row, 'manifest_digest') as Digest)
    : json<{ readonly digest: Digest }>(row, 'platforms').digest
  const size = blobs.size(digest)
  if (size === undefined) return undefined
  const name = text(row, 'name')
  const known = before.get(digest)
  const mediaType = known?.size === size ? known.mediaType : mediaTypeOf(blobs, digest, isOne)
  if (mediaType === undefined) return undefined
  return {
    mediaType,
    digest,
    size,
    annotations: {
      // Many images of a store have the tag `latest`: the whole name is what tells them apart for `oci:STORE:NAME`.
      [Annotation.imageName]: name,
      [Annotation.refName]: name,
      [Annotation.created]: formatTime(number(row, 'created_ms')),
    },
  }
}

/** Undefined for a damaged one: one image that cannot be read is no reason that no other gets a name. */
function mediaTypeOf(blobs: BlobStore, digest: Digest, isOne: boolean): string | undefined {
  try {
    const bytes = blobs.read(digest)
    return isOne ? parseManifest(bytes).mediaType : parseIndex(bytes).mediaType
  } catch (error) {
    if (isTsOciError(error) && !error.code.startsWith('OCI_STORE')) return undefined
    throw error
  }
}

/** Entries that no row accounts for become images; their entries are carried along as they are, until the name is given anew. */
function takeIn(options: ProjectionOptions, entries: readonly Descriptor[]): void {
  const { metadata, blobs, layers } = options
  const known = new Set(descriptors(options).map(entryId))
  for (const entry of entries) {
    if (known.has(entryId(entry)) || isOursWithoutName(metadata, entry) || !blobs.has(entry.digest)) continue
    const image = readForeignImage(blobs, entry, nameOf(entry))
    if (image !== undefined) insertForeign(metadata, layers, image)
    metadata.run(
      'INSERT OR REPLACE INTO foreign_entries (id, name, descriptor) VALUES (?, ?, ?)',
      entryId(entry),
      image?.record.name ?? null,
      JSON.stringify(entry),
    )
  }
}

/** Stores of format 4 and before listed these, too. */
function isOursWithoutName(metadata: Metadata, entry: Descriptor): boolean {
  if (nameOf(entry) !== undefined) return false
  const sql = `SELECT 1 FROM images WHERE name >= '<none>@' AND name < '<none>A' AND
    (manifest_digest = ?1 OR json_extract(platforms, '$.digest') = ?1)`
  return metadata.get(sql, entry.digest) !== undefined
}

function entryId(entry: Descriptor): string {
  return `${entry.digest} ${nameOf(entry) ?? ''}`
}

function nameOf(entry: Descriptor): string | undefined {
  return entry.annotations?.[Annotation.imageName] ?? entry.annotations?.[Annotation.refName]
}

function insertForeign(metadata: Metadata, layers: StoredLayers, image: ForeignImage): void {
  for (const layer of image.layers) layers.put(layer, true)
  insert(metadata, image.record)
}
