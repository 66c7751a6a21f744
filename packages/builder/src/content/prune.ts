import { existsSync, lstatSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { digestHex, type Digest } from '../oci/digest.ts'
import type { Descriptor } from '../oci/types.ts'
import { reachableBlobs } from './adopt.ts'
import { cacheMountPath, layerFileName, type StorePaths } from './layout.ts'
import { json, number, text, type Metadata } from './metadata.ts'
import { sweepTemporary, type RemoveTree } from './temporary.ts'
import type {
  BlobStore,
  CacheRecord,
  CacheRecords,
  ImageRecords,
  LayerRecord,
  LayerRecords,
  PruneOptions,
  PruneResult,
} from './types.ts'

/** What was used within this time stays unless `all` is asked for (BuildKit's default policy for sources). */
const RECENT_MS = 48 * 60 * 60 * 1000

export interface PruneParts {
  readonly paths: StorePaths
  readonly metadata: Metadata
  readonly blobs: BlobStore
  readonly layers: LayerRecords
  readonly images: ImageRecords
  readonly cache: CacheRecords
  readonly remove: RemoveTree
  readonly now: () => number
}

type Removed = PruneResult['removed'][number]

/**
 * Removes cache records, cache mounts, and the layers and files that are left without an owner. What belongs to an
 * image stays in whatever form it is at hand. Rows go first, in one transaction: files without rows are left-overs
 * that the next prune removes, rows without files would be lies.
 * The caller holds the store alone.
 */
export async function prune(parts: PruneParts, options: PruneOptions): Promise<PruneResult> {
  const limitMs = parts.now() - (options.olderThanMs ?? (options.all ? 0 : RECENT_MS))
  const imageLayers = new Set(parts.images.list().flatMap((image) => image.layerIds))
  const removed: Removed[] = []
  const gone: LayerRecord[] = []
  const directories: string[] = []
  parts.metadata.transaction(() => {
    const staying = removeRecords(parts, limitMs, imageLayers, removed)
    gone.push(...removeLayers(parts, new Set([...imageLayers, ...staying])))
    directories.push(...removeCacheMounts(parts, limitMs, removed))
    if (options.all && options.olderThanMs === undefined) parts.metadata.run('DELETE FROM facts')
  })
  // A row comes before its directory: a process may have died in between.
  for (const directory of directories) if (existsSync(directory)) await parts.remove(directory)
  if (options.all) removeMemos(parts.paths.memos, limitMs)
  const sizes = await removeFiles(parts)
  for (const layer of gone)
    removed.push({ id: layer.id, sizeBytes: takeSizes(sizes, layer), description: layer.description })
  const leftOver = [...sizes.values()].reduce((sum, size) => sum + size, 0)
  if (leftOver > 0) removed.push({ id: 'left-over', sizeBytes: leftOver, description: 'files that nothing refers to' })
  return { removed, reclaimedBytes: removed.reduce((sum, item) => sum + item.sizeBytes, 0) }
}

/** @returns the layers of the records that stay */
function removeRecords(
  parts: PruneParts,
  limitMs: number,
  imageLayers: ReadonlySet<string>,
  removed: Removed[],
): string[] {
  const staying: string[] = []
  for (const record of parts.cache.list()) {
    if (record.usedMs > limitMs) {
      staying.push(...record.layerIds)
      continue
    }
    parts.cache.delete(record.key)
    // A record that has layers is listed as those; the others would not be seen otherwise.
    if (isListed(record, imageLayers)) removed.push({ id: record.key, sizeBytes: 0, description: record.name })
  }
  return staying
}

function isListed(record: CacheRecord, imageLayers: ReadonlySet<string>): boolean {
  return record.layerIds.every((id) => imageLayers.has(id))
}

function removeLayers(parts: PruneParts, kept: ReadonlySet<string>): LayerRecord[] {
  const gone = parts.layers.list().filter((layer) => !kept.has(layer.id))
  for (const layer of gone) parts.layers.delete(layer.id)
  return gone
}

/** Bytes that went with a layer: those of its files that no other one needed. */
function takeSizes(sizes: Map<string, number>, layer: LayerRecord): number {
  const digests = [
    ...(layer.diffId === undefined ? [] : [layer.diffId]),
    ...layer.blobs.map((blob) => blob.descriptor.digest),
  ]
  let total = 0
  for (const name of [...digests.map(digestHex), layerFileName(layer.id)]) {
    total += sizes.get(name) ?? 0
    sizes.delete(name)
  }
  return total
}

function removeCacheMounts({ metadata, paths }: PruneParts, limitMs: number, removed: Removed[]): string[] {
  const directories: string[] = []
  for (const row of metadata.all('SELECT * FROM cache_mounts WHERE used_ms <= ?', limitMs)) {
    const id = text(row, 'id')
    // Never what the row says: a store may have been moved, or its rows be somebody's who wants another directory gone.
    const directory = cacheMountPath(paths, id)
    metadata.run('DELETE FROM cache_mounts WHERE id = ?', id)
    // Git sources keep their mirrors as cache mounts do (ops/git/driver.ts).
    const description = id.startsWith('git repository ') ? 'git mirror' : 'cache mount'
    removed.push({ id, sizeBytes: treeSize(directory), description })
    directories.push(directory)
  }
  return directories
}

/** Remembered digests of contexts: made anew by the next build. */
function removeMemos(directory: string, limitMs: number): void {
  for (const name of readdirIfPresent(directory)) {
    const path = join(directory, name)
    const stat = lstatSync(path, { throwIfNoEntry: false })
    if (stat !== undefined && stat.mtimeMs <= limitMs) rmSync(path, { recursive: true, force: true })
  }
}

function readdirIfPresent(directory: string): readonly string[] {
  return existsSync(directory) ? readdirSync(directory) : []
}

/** Removes the files that no row names. @returns their names (hex of a blob, layer of a tree) and sizes */
async function removeFiles(parts: PruneParts): Promise<Map<string, number>> {
  const { paths, metadata } = parts
  const rows = parts.layers.list()
  const names = new Set(rows.map((layer) => layerFileName(layer.id)))
  const needed = neededBlobs(parts, rows)
  const mounts = new Set(
    metadata.all('SELECT id FROM cache_mounts').map((row) => cacheMountPath(paths, text(row, 'id'))),
  )
  const sizes = new Map<string, number>()
  for (const name of readdirSync(paths.blobs)) {
    if (needed.has(name)) continue
    sizes.set(name, lstatSync(join(paths.blobs, name)).size)
    rmSync(join(paths.blobs, name), { recursive: true, force: true })
  }
  for (const name of readdirSync(paths.tables)) if (!names.has(name)) rmSync(join(paths.tables, name), { force: true })
  for (const name of readdirSync(paths.snapshots)) {
    if (names.has(name)) continue
    const directory = join(paths.snapshots, name)
    sizes.set(name, treeSize(directory))
    await parts.remove(directory)
  }
  for (const name of readdirSync(paths.cacheMounts)) {
    const directory = join(paths.cacheMounts, name)
    if (!mounts.has(directory)) await parts.remove(directory)
  }
  for (const path of sweepTemporary(paths).stuck) await parts.remove(path)
  return sizes
}

/** Hex digits of every blob that a row, an image or a foreign entry names. */
function neededBlobs({ images, metadata, blobs }: PruneParts, rows: readonly LayerRecord[]): Set<string> {
  const needed = new Set<Digest>()
  for (const layer of rows) {
    if (layer.diffId !== undefined) needed.add(layer.diffId as string as Digest)
    for (const blob of layer.blobs) needed.add(blob.descriptor.digest)
  }
  for (const image of images.list()) {
    needed.add(image.configDigest)
    reachableBlobs(
      blobs,
      { mediaType: 'application/vnd.oci.image.manifest.v1+json', digest: image.manifestDigest, size: 0 },
      needed,
    )
  }
  for (const row of metadata.all('SELECT descriptor FROM foreign_entries'))
    reachableBlobs(blobs, json<Descriptor>(row, 'descriptor'), needed)
  return new Set([...needed].map(digestHex))
}

/** Bytes of the files of a tree; what may not be read counts as nothing. */
export function treeSize(directory: string): number {
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

/** @internal For listings of cache mounts. */
export function listCacheMounts(
  metadata: Metadata,
): readonly { readonly id: string; readonly directory: string; readonly usedMs: number }[] {
  return metadata
    .all('SELECT * FROM cache_mounts ORDER BY id')
    .map((row) => ({ id: text(row, 'id'), directory: text(row, 'directory'), usedMs: number(row, 'used_ms') }))
}
