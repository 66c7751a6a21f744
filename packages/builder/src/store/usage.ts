import { createHash } from 'node:crypto'
import { lstatSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { cacheMountPath, type StorePaths } from './paths.ts'
import { cacheMountLock, isGitMirror } from './cache-mounts.ts'
import { json, number, text, type Metadata, type Row } from './metadata.ts'
import type { UsageNode } from './prune-choice.ts'
import { treesOf } from './tree-sync.ts'
import { treeSize } from './tree-size.ts'
import type { LayerBlob, Locks, UsageRecord } from './types.ts'

/** A record of the cache with what goes when it goes. */
export interface UsageItem extends UsageNode {
  readonly target:
    | { readonly kind: 'layer'; readonly layerId: string; readonly keys: readonly string[] }
    | { readonly kind: 'record'; readonly key: string }
    | { readonly kind: 'cache mount'; readonly mountId: string }
    | { readonly kind: 'memo'; readonly path: string }
}

export interface UsageParts {
  readonly paths: StorePaths
  readonly metadata: Metadata
  readonly locks: Locks
}

/**
 * The build cache as BuildKit's `du` lists it: a record for each layer that a step made or stands on, for each step without a
 * layer, cache mount, mirror of a repository and context. Layers of images that no build used are none of it. Reads rows, and the
 * directory of contexts; nothing else of the disk is looked at.
 * @param leased names that open stores use
 * @param isLocked asks for the lock of each cache mount whether a step has it; else none is said to be in use
 */
export function listUsage(
  parts: UsageParts,
  leased: ReadonlySet<string>,
  { isLocked = false }: { readonly isLocked?: boolean } = {},
): readonly UsageItem[] {
  return [...layerItems(parts, leased), ...mountItems(parts, isLocked), ...memoItems(parts.paths)]
}

/** As it is told to others. */
export function usageRecord({ below: _below, target: _target, ...record }: UsageItem): UsageRecord {
  return record
}

type UsageId = (kind: 'layer' | 'step' | 'cache mount' | 'memo', name: string) => string

/** Of a layer that many steps stand on the id is made once. */
function createUsageIds(): UsageId {
  const known = new Map<string, string>()
  return (kind, name) => {
    const key = `${kind} ${name}`
    let id = known.get(key)
    if (id === undefined) known.set(key, (id = usageIdOf(key)))
    return id
  }
}

/** 25 characters of base 36 as BuildKit's ids, made of what the store calls it. */
function usageIdOf(name: string): string {
  const hex = createHash('sha256').update(name).digest('hex')
  return BigInt(`0x${hex}`).toString(36).padStart(25, '0').slice(-25)
}

interface StepRow {
  readonly key: string
  readonly layerIds: readonly string[]
  readonly createdMs: number
  readonly usedMs: number
  readonly usageCount: number
  readonly name: string
  readonly type: string
}

function layerItems({ metadata }: UsageParts, leased: ReadonlySet<string>): readonly UsageItem[] {
  const usageId = createUsageIds()
  const steps = metadata
    .all('SELECT key, layer_ids, created_ms, used_ms, usage_count, name, type FROM cache')
    .map(stepOf)
  const leasedKeys = keysOf(metadata, leased)
  const rows = new Map(metadata.all('SELECT * FROM layers').map((row) => [text(row, 'id'), row]))
  const ofImages = imageLayers(metadata)
  const treeBytes = contentSizes(metadata)
  const facts = new Map<string, LayerFacts>()
  const byTop = new Map<string, StepRow[]>()
  const alone: StepRow[] = []
  for (const step of steps) {
    const chain = step.layerIds.filter((id) => rows.has(id))
    const top = chain.at(-1)
    if (top === undefined || top !== step.layerIds.at(-1)) alone.push(step)
    else byTop.set(top, [...(byTop.get(top) ?? []), step])
    chain.forEach((id, at) => note(facts, id, step, chain.slice(0, at), leasedKeys.has(step.key)))
  }
  const layers = [...rows].flatMap(([id, row]): UsageItem[] => {
    const known = facts.get(id)
    const isShared = ofImages.has(id)
    // An image's alone, or the cache's, or nobody's: of those a prune takes the last two.
    if (known === undefined && isShared) return []
    const own = byTop.get(id) ?? []
    const below = known?.below ?? []
    return [
      {
        id: usageId('layer', id),
        parents: below.slice(-1).map((one) => usageId('layer', one)),
        below: below.map((one) => usageId('layer', one)),
        description: text(row, 'description') || (own[0]?.name ?? ''),
        type: own[0]?.type ?? 'regular',
        isMutable: false,
        isInUse: leased.has(id) || known?.isInUse === true,
        isShared,
        sizeBytes: bytesOf(row, treeBytes.get(id) ?? 0),
        createdMs: own[0]?.createdMs ?? known?.createdMs ?? number(row, 'created_ms'),
        usedMs: known?.usedMs,
        usageCount: Math.max(
          0,
          ...(own.length > 0 ? own.map(({ usageCount }) => usageCount) : [known?.usageCount ?? 0]),
        ),
        target: { kind: 'layer', layerId: id, keys: own.map(({ key }) => key) },
      },
    ]
  })
  return [...layers, ...alone.map((step) => stepItem(step, { rows, ofImages, leasedKeys, usageId }))]
}

interface LayerFacts {
  readonly below: readonly string[]
  readonly createdMs: number
  readonly usedMs: number
  readonly usageCount: number
  readonly isInUse: boolean
}

/** A layer was used when the last of the steps was that stand on it. */
function note(
  facts: Map<string, LayerFacts>,
  id: string,
  step: StepRow,
  below: readonly string[],
  isInUse: boolean,
): void {
  const known = facts.get(id)
  facts.set(id, {
    // Steps of one layer may have come to it over others: all of these are below it.
    below: known === undefined || known.below.length === 0 ? below : joined(known.below, below),
    createdMs: Math.min(known?.createdMs ?? Infinity, step.createdMs),
    usedMs: Math.max(known?.usedMs ?? 0, step.usedMs),
    usageCount: Math.max(known?.usageCount ?? 0, step.usageCount),
    isInUse: isInUse || known?.isInUse === true,
  })
}

/** Mostly both are the same chain. */
function joined(known: readonly string[], more: readonly string[]): readonly string[] {
  const isKnown = more.length <= known.length && more.every((id, at) => known[at] === id)
  return isKnown ? known : [...new Set([...known, ...more])]
}

/** A step that has no layer of its own: it wrote none, or its files were never needed. */
function stepItem(
  step: StepRow,
  {
    rows,
    ofImages,
    leasedKeys,
    usageId,
  }: {
    readonly rows: ReadonlyMap<string, Row>
    readonly ofImages: ReadonlySet<string>
    readonly leasedKeys: ReadonlySet<string>
    readonly usageId: UsageId
  },
): UsageItem {
  const below = step.layerIds.filter((id) => rows.has(id))
  const { key, createdMs, usedMs, usageCount, name, type } = step
  return {
    id: usageId('step', key),
    parents: below.slice(-1).map((id) => usageId('layer', id)),
    below: below.map((id) => usageId('layer', id)),
    description: name,
    type,
    isMutable: false,
    isInUse: leasedKeys.has(key),
    isShared: below.length > 0 && step.layerIds.every((id) => ofImages.has(id)),
    sizeBytes: 0,
    createdMs,
    usedMs,
    usageCount,
    target: { kind: 'record', key },
  }
}

function stepOf(row: Row): StepRow {
  return {
    key: text(row, 'key'),
    layerIds: json<readonly string[]>(row, 'layer_ids'),
    createdMs: number(row, 'created_ms'),
    usedMs: number(row, 'used_ms'),
    usageCount: number(row, 'usage_count'),
    name: text(row, 'name'),
    type: text(row, 'type'),
  }
}

/** Keys of the records that are leased, by themselves or by an alternative. */
function keysOf(metadata: Metadata, leased: ReadonlySet<string>): ReadonlySet<string> {
  if (leased.size === 0) return leased
  const sql = 'SELECT key FROM cache_links WHERE alternative IN (SELECT value FROM json_each(?))'
  return new Set([...leased, ...metadata.all(sql, JSON.stringify([...leased])).map((row) => text(row, 'key'))])
}

/** Ids of the layers of all images. */
export function imageLayers(metadata: Metadata): ReadonlySet<string> {
  const rows = metadata.all(
    `SELECT DISTINCT layer.value AS id FROM images, json_each(layer_ids) AS layer UNION
     SELECT DISTINCT layer.value FROM images, json_each(platforms, '$.more') AS more, json_each(more.value, '$.layerIds') AS layer
     WHERE platforms IS NOT NULL`,
  )
  return new Set(rows.map((row) => text(row, 'id')))
}

const CONTENT_SIZE = 'content-size:'

function contentSizes(metadata: Metadata): ReadonlyMap<string, number> {
  const rows = metadata.all("SELECT key, value FROM facts WHERE key >= 'content-size:' AND key < 'content-size;'")
  return new Map(rows.map((row) => [text(row, 'key').slice(CONTENT_SIZE.length), number(row, 'value')]))
}

/** Of all forms of a layer, as the rows tell it. */
function bytesOf(row: Row, treeBytes: number): number {
  const blobs = json<readonly LayerBlob[]>(row, 'blobs').reduce((sum, { descriptor }) => sum + descriptor.size, 0)
  return (row['has_tar'] === 1 ? number(row, 'tar_size') : 0) + blobs + treesOf(row).length * treeBytes
}

function mountItems({ metadata, locks }: UsageParts, isLocked: boolean): readonly UsageItem[] {
  return metadata.all('SELECT * FROM cache_mounts ORDER BY created_ms, id').map((row): UsageItem => {
    const mountId = text(row, 'id')
    const isMirror = isGitMirror(mountId)
    return {
      id: usageIdOf(`cache mount ${mountId}`),
      parents: [],
      below: [],
      description: isMirror ? mountId : `cached mount with id ${JSON.stringify(mountId)}`,
      type: isMirror ? 'source.git.checkout' : 'exec.cachemount',
      isMutable: true,
      isInUse: isLocked && isHeld(locks, mountId),
      isShared: false,
      sizeBytes: number(row, 'size'),
      createdMs: number(row, 'created_ms'),
      usedMs: number(row, 'used_ms'),
      usageCount: number(row, 'usage_count'),
      target: { kind: 'cache mount', mountId },
    }
  })
}

function isHeld(locks: Locks, mountId: string): boolean {
  const { kind, wish } = cacheMountLock(mountId)
  const lock = locks.tryHoldAll(kind, [wish])
  void lock?.[Symbol.asyncDispose]()
  return lock === undefined
}

/** Digests of the files of contexts, so that a build reads none twice. */
function memoItems(paths: StorePaths): readonly UsageItem[] {
  // Who is about to rename one is at work: what a kill left goes when nobody is.
  const names = readdirSync(paths.memos).filter((name) => !name.endsWith('.tmp'))
  return names.flatMap((name) => {
    const path = join(paths.memos, name)
    const stat = lstatSync(path, { throwIfNoEntry: false })
    if (stat === undefined) return []
    return [
      {
        id: usageIdOf(`memo ${name}`),
        parents: [],
        below: [],
        description: 'local source for context',
        type: 'source.local',
        isMutable: true,
        isInUse: false,
        isShared: false,
        sizeBytes: stat.size,
        createdMs: stat.birthtimeMs,
        usedMs: stat.mtimeMs,
        usageCount: 1,
        target: { kind: 'memo', path },
      },
    ]
  })
}

/**
 * Measures the cache mounts that were used since they were measured last, and not within `agesMs` before that: the only part of
 * the cache whose size no row tells.
 */
export function measureCacheMounts({ paths, metadata }: UsageParts, nowMs: number, agesMs = 0): void {
  const due = metadata.all(
    'SELECT id FROM cache_mounts WHERE sized_ms IS NULL OR (used_ms >= sized_ms AND sized_ms <= ?)',
    nowMs - agesMs,
  )
  for (const row of due) {
    const id = text(row, 'id')
    const bytes = treeSize(cacheMountPath(paths, id))
    metadata.run('UPDATE cache_mounts SET size = ?, sized_ms = ? WHERE id = ?', bytes, nowMs, id)
  }
}
