import { existsSync, lstatSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { localPath } from '@ts-oci/runtime'
import { digestHex, isDigest, type Digest } from '../oci/digest.ts'
import { MediaType } from '../oci/media-types.ts'
import type { Descriptor } from '../oci/types.ts'
import { reachableBlobs } from './adopt.ts'
import { isGitMirror, setCacheMountAside } from './cache-mounts.ts'
import { onDisk } from '../base/disk-errors.ts'
import { cacheMountPath, layerFileName, layerOfFile, treeName, type StorePaths } from './paths.ts'
import { isIndexRecord } from './image-id.ts'
import type { StoredLayers } from './layers.ts'
import type { Leases } from './leases.ts'
import { json, text, type Metadata } from './metadata.ts'
import { createAside, listFiles, type AsideFile, type StoreFile } from './prune-files.ts'
import type { TreeImages } from './tree-images.ts'
import { sweepTemporary, type RemoveTree, type TemporaryNames } from './temporary.ts'
import type {
  BlobStore,
  CacheRecord,
  CacheRecords,
  ImageRecords,
  LayerRecord,
  Locks,
  PruneOptions,
  PruneResult,
} from './types.ts'

/** What was used within this time stays unless `all` is asked for (BuildKit's default policy for sources). */
const RECENT_MS = 48 * 60 * 60 * 1000

/** The times of files come from a clock that lags behind ours by some milliseconds. */
const CLOCK_SLACK_MS = 2000

export interface PruneParts {
  readonly paths: StorePaths
  readonly metadata: Metadata
  readonly blobs: BlobStore
  readonly layers: StoredLayers
  readonly images: ImageRecords
  readonly cache: CacheRecords
  readonly leases: Leases
  readonly temporary: TemporaryNames
  readonly locks: Locks
  readonly treeImages: TreeImages
  readonly remove: RemoveTree
  readonly now: () => number
}

type Removed = PruneResult['removed'][number]

/**
 * Removes cache records, cache mounts, and the layers and files that are left without an owner. What belongs to an image
 * stays in whatever form it is at hand, and so does what a build that runs uses: nobody is waited for, and nobody waits.
 *
 * Rows go first, in one transaction: files without rows are left-overs that the next prune removes, rows without files
 * would be lies. Then the leases are read once more. Who saw a row before it went had leased it, and gets it back.
 */
export async function prune(parts: PruneParts, options: PruneOptions): Promise<PruneResult> {
  const limitMs = parts.now() - (options.olderThanMs ?? (options.all ? 0 : RECENT_MS))
  const removed: Removed[] = []
  const files = listFiles(parts.paths, parts.treeImages.mounted()?.snapshots)
  const gone = removeRows(parts, limitMs, options, removed)
  await removeCacheMounts(parts, limitMs, removed)
  if (options.all) removeMemos(parts.paths.memos, limitMs)
  const sizes = await removeFiles(parts, files, new Set(gone.flatMap(filesOf)))
  parts.treeImages.trim()
  for (const layer of gone)
    removed.push({ id: layer.id, sizeBytes: takeSizes(sizes, layer), description: layer.description })
  const leftOver = [...sizes.values()].reduce((sum, size) => sum + size, 0)
  if (leftOver > 0) removed.push({ id: 'left-over', sizeBytes: leftOver, description: 'files that nothing refers to' })
  return { removed, reclaimedBytes: removed.reduce((sum, item) => sum + item.sizeBytes, 0) }
}

/** @returns the layers that are gone */
function removeRows(
  parts: PruneParts,
  limitMs: number,
  options: PruneOptions,
  removed: Removed[],
): readonly LayerRecord[] {
  const { records, layers, imageLayers } = parts.metadata.transaction(() => {
    // With the write lock held, which may have been waited for: who names an image just before it, and closes the store,
    // has no lease any more, and what was leased meanwhile shall not be gone even for a moment.
    const leased = parts.leases.others().names
    const imageLayers = new Set(parts.images.list().flatMap(({ images }) => images.flatMap((image) => image.layerIds)))
    const gone = removeRecords(parts, limitMs, leased)
    const kept = new Set([...imageLayers, ...leased, ...parts.cache.list().flatMap((record) => record.layerIds)])
    if (options.all && options.olderThanMs === undefined) parts.metadata.run('DELETE FROM facts')
    // What explains a miss by a record that is gone.
    else
      parts.metadata.run(
        "DELETE FROM facts WHERE key >= 'last:' AND key < 'last;' AND value NOT IN (SELECT key FROM cache)",
      )
    return { records: gone, layers: removeLayers(parts, kept), imageLayers }
  })
  const { names } = parts.leases.others()
  const isWanted = ({ record, alternatives }: GoneRecord): boolean =>
    [record.key, ...alternatives].some((key) => names.has(key))
  const wanted = new Set([...names, ...records.filter(isWanted).flatMap(({ record }) => record.layerIds)])
  parts.metadata.transaction(() => {
    const made = new Set(parts.cache.list().map(({ key }) => key))
    for (const { record, alternatives } of records.filter(isWanted))
      if (!made.has(record.key)) parts.cache.put(record, alternatives)
    for (const layer of layers.filter(({ id }) => wanted.has(id))) parts.layers.put(layer)
  })
  for (const { record } of records.filter((gone) => !isWanted(gone)))
    // A record that has layers is listed as those; the others would not be seen otherwise.
    if (isListed(record, imageLayers)) removed.push({ id: record.key, sizeBytes: 0, description: record.name })
  return layers.filter(({ id }) => !wanted.has(id))
}

interface GoneRecord {
  readonly record: CacheRecord
  readonly alternatives: readonly string[]
}

function removeRecords({ cache, metadata }: PruneParts, limitMs: number, leased: ReadonlySet<string>): GoneRecord[] {
  const gone: GoneRecord[] = []
  for (const record of cache.list()) {
    if (record.usedMs > limitMs) continue
    const alternatives = metadata
      .all('SELECT alternative FROM cache_links WHERE key = ?', record.key)
      .map((row) => text(row, 'alternative'))
    if ([record.key, ...alternatives].some((key) => leased.has(key))) continue
    cache.delete(record.key)
    gone.push({ record, alternatives })
  }
  return gone
}

function isListed(record: CacheRecord, imageLayers: ReadonlySet<string>): boolean {
  return record.layerIds.every((id) => imageLayers.has(id))
}

function removeLayers(parts: PruneParts, kept: ReadonlySet<string>): LayerRecord[] {
  const gone = parts.layers.list().filter((layer) => !kept.has(layer.id))
  for (const layer of gone) parts.layers.deleteRow(layer.id)
  return gone
}

/** Bytes that went with a layer: those of its files that no other one needed. */
function takeSizes(sizes: Map<string, number>, layer: LayerRecord): number {
  let total = 0
  for (const name of filesOf(layer)) {
    total += sizes.get(name) ?? 0
    sizes.delete(name)
  }
  return total
}

/** Names of a layer's blobs, its table and its trees. */
function filesOf(layer: LayerRecord): readonly string[] {
  const digests = [
    ...(layer.diffId === undefined ? [] : [layer.diffId]),
    ...layer.blobs.map((blob) => blob.descriptor.digest),
  ]
  const trees = (layer.trees ?? []).map((tree) => treeName(layer.id, tree))
  return [...digests.map(digestHex), layerFileName(layer.id), ...trees]
}

/** A cache that a step has mounted is held: it stays, as it would if the step had come a moment later. */
async function removeCacheMounts(parts: PruneParts, limitMs: number, removed: Removed[]): Promise<void> {
  const { metadata } = parts
  for (const row of metadata.all('SELECT id FROM cache_mounts WHERE used_ms <= ?', limitMs)) {
    const id = text(row, 'id')
    const aside = setCacheMountAside(parts, id)
    if (aside === undefined) continue
    // Git sources keep their mirrors as cache mounts do (ops/git/driver.ts).
    const description = isGitMirror(id) ? 'git mirror' : 'cache mount'
    removed.push({ id, sizeBytes: treeSize(aside.path), description })
    if (existsSync(aside.path)) await parts.remove(aside.path)
  }
}

/** Remembered digests of contexts: made anew by the next build. */
function removeMemos(directory: string, limitMs: number): void {
  for (const name of readdirIfPresent(directory)) {
    const path = join(directory, name)
    const stat = lstatSync(path, { throwIfNoEntry: false })
    // A build that runs is about to rename it: what a kill left goes when nobody is at work.
    if (name.endsWith('.tmp')) continue
    if (stat !== undefined && stat.mtimeMs <= limitMs) rmSync(path, { recursive: true, force: true })
  }
}

function readdirIfPresent(directory: string): readonly string[] {
  return existsSync(directory) ? readdirSync(directory) : []
}

/** Removes the files that no row names. @returns their names (hex of a blob, layer of a tree) and sizes */
async function removeFiles(
  parts: PruneParts,
  files: readonly StoreFile[],
  gone: ReadonlySet<string>,
): Promise<Map<string, number>> {
  const { sinceMs } = parts.leases.others()
  const isNeeded = createNeed(parts)
  // What a build that runs has made has no row yet; it cannot have made what is older than itself.
  const isOld = ({ name, changedMs }: StoreFile): boolean => gone.has(name) || changedMs < sinceMs - CLOCK_SLACK_MS
  const leased = leasedFiles(parts.leases)
  const candidates = files.filter((file) => isOld(file) && !leased.has(layerOfFile(file.name)) && !isNeeded(file))
  const unwanted = candidates.length === 0 ? [] : takeUnwanted(parts, candidates)
  const sizes = new Map<string, number>()
  for (const { file, path } of unwanted) {
    if (file.kind === 'blob') sizes.set(file.name, lstatSync(path).size)
    if (file.kind === 'tree') sizes.set(file.name, treeSize(localPath(path)))
    await removeAny(parts, path)
  }
  for (const path of sweepTemporary(parts.paths).stuck) await parts.remove(path)
  return sizes
}

/**
 * Takes files out of everybody's sight, then asks again: who saw one before has said so by now, and gets it back before
 * anything is removed, which may take long.
 */
function takeUnwanted(parts: PruneParts, candidates: readonly StoreFile[]): readonly AsideFile[] {
  return onDisk(parts.paths.root, () => {
    const aside = createAside(parts.temporary.next('aside'))
    const taken = candidates.flatMap((file) => aside.add(file) ?? [])
    const isNeeded = createNeed(parts)
    const leased = leasedFiles(parts.leases)
    const isWanted = ({ file }: AsideFile): boolean => leased.has(layerOfFile(file.name)) || isNeeded(file)
    const unwanted = taken.filter((one) => !isWanted(one) || !aside.putBack(one))
    aside.settle()
    return unwanted
  })
}

async function removeAny(parts: PruneParts, path: string): Promise<void> {
  if (lstatSync(localPath(path), { throwIfNoEntry: false })?.isDirectory() === true) await parts.remove(path)
  else rmSync(path, { force: true })
}

/** Names of the files of what others have leased: a digest is that of a blob, and of a layer that was pulled. */
function leasedFiles(leases: Leases): ReadonlySet<string> {
  const names = [...leases.others().names]
  return new Set(names.flatMap((name) => (isDigest(name) ? [digestHex(name), layerFileName(name)] : [name])))
}

/** Whether a row names a file, by what the rows are when this is called. */
function createNeed(parts: PruneParts): (file: StoreFile) => boolean {
  const { paths, metadata } = parts
  const rows = parts.layers.list()
  const names = new Set(rows.map((layer) => layerFileName(layer.id)))
  const blobs = neededBlobs(parts, rows)
  const mounts = new Set(
    metadata.all('SELECT id FROM cache_mounts').map((row) => cacheMountPath(paths, text(row, 'id'))),
  )
  return ({ kind, name, path }) =>
    kind === 'blob' ? blobs.has(name) : kind === 'cache mount' ? mounts.has(path) : names.has(layerOfFile(name))
}

/** Hex digits of every blob that a row, an image or a foreign entry names. */
function neededBlobs({ images, metadata, blobs }: PruneParts, rows: readonly LayerRecord[]): Set<string> {
  const needed = new Set<Digest>()
  for (const layer of rows) {
    if (layer.diffId !== undefined) needed.add(layer.diffId as string as Digest)
    for (const blob of layer.blobs) needed.add(blob.descriptor.digest)
  }
  // An index keeps what stands in it beside its images, where it is here.
  for (const { digest } of images.list().filter(isIndexRecord))
    reachableBlobs(blobs, { mediaType: MediaType.ociIndex, digest, size: 0 }, needed)
  for (const image of images.list().flatMap((record) => record.images)) {
    needed.add(image.configDigest)
    reachableBlobs(blobs, { mediaType: MediaType.ociManifest, digest: image.manifestDigest, size: 0 }, needed)
  }
  for (const row of metadata.all('SELECT descriptor FROM foreign_entries'))
    reachableBlobs(blobs, json<Descriptor>(row, 'descriptor'), needed)
  return new Set([...needed].map(digestHex))
}

/** Bytes of the files of a tree; what may not be read counts as nothing. */
function treeSize(directory: string): number {
  let bytes = 0
  try {
    for (const entry of readdirSync(directory, { withFileTypes: true })) {
      const path = join(directory, entry.name)
      bytes += entry.isDirectory() ? treeSize(path) : lstatSync(path).size
    }
  } catch {
    return bytes
  }
  return bytes
}
