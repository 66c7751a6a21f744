import { existsSync, lstatSync, rmSync } from 'node:fs'
import { localPath } from '@ts-oci/runtime'
import { digestHex, isDigest, type Digest } from '../oci/digest.ts'
import { MediaType } from '../oci/media-types.ts'
import { parseManifest } from '../oci/manifest.ts'
import type { Descriptor } from '../oci/types.ts'
import { reachableBlobs } from './adopt.ts'
import { setCacheMountAside } from './cache-mounts.ts'
import { diskOf } from './disk-state.ts'
import { onDisk } from '../base/disk-errors.ts'
import { cacheMountPath, layerFileName, layerOfFile, treeName, type StorePaths } from './paths.ts'
import { isIndexRecord } from './image-id.ts'
import type { StoredLayers } from './layers.ts'
import type { Leases } from './leases.ts'
import { json, text, type Metadata } from './metadata.ts'
import { choosePruned, type PruneRule } from './prune-choice.ts'
import { createAside, listFiles, type AsideFile, type StoreFile } from './prune-files.ts'
import { keepReserve } from './reserve.ts'
import { treeSize } from './tree-size.ts'
import { imageLayers, listUsage, measureCacheMounts, usageRecord, type UsageItem } from './usage.ts'
import type { TreeImages } from './tree-images.ts'
import type { StoredCache } from './cache-records.ts'
import { sweepTemporary, type RemoveTree, type TemporaryNames } from './temporary.ts'
import type { BlobStore, CacheRecord, ImageRecords, LayerRecord, Locks, PruneResult, UsageRecord } from './types.ts'

/** A cache mount that is used all day is measured now and then. */
const MEASURE_MS = 6 * 3_600_000

/** The times of files come from a clock that lags behind ours by some milliseconds. */
const CLOCK_SLACK_MS = 2000

export interface PruneParts {
  readonly paths: StorePaths
  readonly metadata: Metadata
  readonly blobs: BlobStore
  readonly layers: StoredLayers
  readonly images: ImageRecords
  readonly cache: StoredCache
  readonly leases: Leases
  readonly temporary: TemporaryNames
  readonly locks: Locks
  readonly treeImages: TreeImages
  readonly remove: RemoveTree
  readonly now: () => number
}

/**
 * Removes what the rules choose of the cache, and the files that are left without an owner. What belongs to an image
 * stays in whatever form it is at hand, and so does what a build that runs uses: nobody is waited for, and nobody waits.
 *
 * Rows go first, in one transaction: files without rows are left-overs that the next prune removes, rows without files
 * would be lies. Then the leases are read once more. Who saw a row before it went had leased it, and gets it back.
 * @param isWhole nothing is to be remembered of what builds found out either
 */
export async function prune(parts: PruneParts, rules: readonly PruneRule[], isWhole: boolean): Promise<PruneResult> {
  measureCacheMounts(parts, parts.now(), MEASURE_MS)
  const files = listFiles(parts.paths, parts.treeImages.mounted()?.snapshots)
  const gone = removeRows(parts, rules, isWhole)
  const removed = await removeDirectories(parts, gone.items)
  const sizes = await removeFiles(parts, files, new Set(gone.layers.flatMap(filesOf)))
  parts.treeImages.trim()
  keepReserve(parts.paths.root)
  const layers = new Map(gone.layers.map((layer) => [layer.id, layer]))
  for (const item of gone.items) {
    const { target } = item
    if (target.kind === 'record') removed.push(usageRecord(item))
    if (target.kind !== 'layer') continue
    const layer = layers.get(target.layerId)
    removed.push({ ...usageRecord(item), sizeBytes: layer === undefined ? 0 : takeSizes(sizes, layer) })
  }
  const leftOver = [...sizes.values()].reduce((sum, size) => sum + size, 0)
  if (leftOver > 0) removed.push(leftOvers(leftOver, parts.now()))
  return { removed, reclaimedBytes: removed.reduce((sum, item) => sum + item.sizeBytes, 0) }
}

function leftOvers(sizeBytes: number, nowMs: number): UsageRecord {
  return {
    id: 'left-over',
    parents: [],
    description: 'files that nothing refers to',
    type: 'internal',
    isMutable: false,
    isInUse: false,
    isShared: false,
    sizeBytes,
    createdMs: nowMs,
    usageCount: 0,
  }
}

interface GoneRows {
  readonly items: readonly UsageItem[]
  readonly layers: readonly LayerRecord[]
}

function removeRows(parts: PruneParts, rules: readonly PruneRule[], isWhole: boolean): GoneRows {
  const { items, records, layers } = parts.metadata.transaction(() => {
    // With the write lock held, which may have been waited for: who names an image just before it, and closes the store,
    // has no lease any more, and what was leased meanwhile shall not be gone even for a moment.
    const leased = parts.leases.others().names
    const { freeBytes } = diskOf(parts.paths.root)
    const items = choosePruned(listUsage(parts, leased), rules, { nowMs: parts.now(), freeBytes })
    const gone = new Set(items.flatMap(({ target }) => (target.kind === 'layer' ? [target.layerId] : [])))
    const records = removeRecords(parts, items, gone, leased)
    const kept = new Set([...imageLayers(parts.metadata), ...leased, ...layersOfRecords(parts.metadata)])
    if (isWhole) parts.metadata.run("DELETE FROM facts WHERE key NOT LIKE 'kept cache mount %'")
    // What explains a miss by a record that is gone.
    else
      parts.metadata.run(
        "DELETE FROM facts WHERE key >= 'last:' AND key < 'last;' AND value NOT IN (SELECT key FROM cache)",
      )
    return {
      items,
      records,
      layers: removeLayers(
        parts,
        [...gone].filter((id) => !kept.has(id)),
      ),
    }
  })
  const { names } = parts.leases.others()
  const isWanted = ({ record, alternatives }: GoneRecord): boolean =>
    [record.key, ...alternatives].some((key) => names.has(key))
  const back = records.filter(isWanted)
  const wanted = new Set([...names, ...back.flatMap(({ record }) => record.layerIds)])
  parts.metadata.transaction(() => {
    for (const { record, alternatives } of back)
      if (parts.metadata.get('SELECT 1 FROM cache WHERE key = ?', record.key) === undefined)
        parts.cache.put(record, alternatives)
    for (const layer of layers.filter(({ id }) => wanted.has(id))) parts.layers.put(layer)
  })
  const isBack = new Set([...wanted, ...back.map(({ record }) => record.key)])
  return {
    items: items.filter(({ target }) => !isBack.has(nameOf(target))),
    layers: layers.filter(({ id }) => !wanted.has(id)),
  }
}

function nameOf(target: UsageItem['target']): string {
  return target.kind === 'layer' ? target.layerId : target.kind === 'record' ? target.key : ''
}

interface GoneRecord {
  readonly record: CacheRecord
  readonly alternatives: readonly string[]
}

/** The records of what was chosen, and those that would name a layer that is gone. */
function removeRecords(
  { cache, metadata }: PruneParts,
  items: readonly UsageItem[],
  goneLayers: ReadonlySet<string>,
  leased: ReadonlySet<string>,
): GoneRecord[] {
  const chosen = items.flatMap(({ target }) =>
    target.kind === 'layer' ? target.keys : target.kind === 'record' ? [target.key] : [],
  )
  const standing = metadata
    .all(
      'SELECT DISTINCT cache.key AS key FROM cache, json_each(layer_ids) AS layer WHERE layer.value IN (SELECT value FROM json_each(?))',
      JSON.stringify([...goneLayers]),
    )
    .map((row) => text(row, 'key'))
  const gone: GoneRecord[] = []
  for (const key of new Set([...chosen, ...standing])) {
    const alternatives = metadata
      .all('SELECT alternative FROM cache_links WHERE key = ?', key)
      .map((row) => text(row, 'alternative'))
    const record = cache.peek(key)
    if (record === undefined || [key, ...alternatives].some((one) => leased.has(one))) continue
    cache.delete(key)
    gone.push({ record, alternatives })
  }
  return gone
}

function layersOfRecords(metadata: Metadata): readonly string[] {
  return metadata
    .all('SELECT DISTINCT layer.value AS id FROM cache, json_each(layer_ids) AS layer')
    .map((row) => text(row, 'id'))
}

function removeLayers(parts: PruneParts, ids: readonly string[]): LayerRecord[] {
  const gone = ids.flatMap((id) => parts.layers.get(id) ?? [])
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

/** Cache mounts and contexts. A cache that a step has mounted is held: it stays, as it would if the step had come a moment later. */
async function removeDirectories(parts: PruneParts, items: readonly UsageItem[]): Promise<UsageRecord[]> {
  const removed: UsageRecord[] = []
  for (const item of items) {
    const { target } = item
    if (target.kind === 'memo') rmSync(target.path, { recursive: true, force: true })
    if (target.kind === 'cache mount') {
      const aside = setCacheMountAside(parts, target.mountId)
      if (aside === undefined) continue
      removed.push({ ...usageRecord(item), sizeBytes: treeSize(aside.path) })
      if (existsSync(aside.path)) await parts.remove(aside.path)
    }
    if (target.kind === 'memo') removed.push(usageRecord(item))
  }
  return removed
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
  for (const digest of documentsOfBases(metadata, blobs)) needed.add(digest)
  for (const row of metadata.all('SELECT descriptor FROM foreign_entries'))
    reachableBlobs(blobs, json<Descriptor>(row, 'descriptor'), needed)
  return new Set([...needed].map(digestHex))
}

/** Manifests and configs of bases that builds have fetched: as long as their names are remembered, no build asks for them again. */
function documentsOfBases(metadata: Metadata, blobs: BlobStore): readonly Digest[] {
  const facts = metadata.all("SELECT value FROM facts WHERE key >= 'image:' AND key < 'image;'")
  return facts.flatMap((row) => {
    const { digest, manifestDigest } = json<{ readonly digest: Digest; readonly manifestDigest: Digest }>(row, 'value')
    if (!blobs.has(manifestDigest)) return []
    try {
      return [digest, manifestDigest, parseManifest(blobs.read(manifestDigest)).manifest.config.digest]
    } catch {
      // Damaged: the next build asks the registry.
      return []
    }
  })
}
