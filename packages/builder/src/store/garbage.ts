import { diskOf } from './disk-state.ts'
import { number, type Metadata } from './metadata.ts'
import { bytesToKeep, type PruneRule } from './prune-choice.ts'
import { garbageRules } from './prune-rules.ts'
import { prune, type PruneParts } from './prune.ts'
import type { GarbagePolicy, PruneResult } from './types.ts'
import { measureCacheMounts } from './usage.ts'

/** As BuildKit: after builds, and not more often than this. */
const PAUSE_MS = 60_000
/** A cache mount that is used all day is measured now and then. */
const MEASURE_MS = 6 * 3_600_000

const CHECKED = 'garbage_checked_ms'

/**
 * Prunes by the rules when one of them may find something. What is asked before costs no look at a disk: a mark, the sums of what
 * the rows tell, and the free space. Of several builds that end together one does it.
 */
export async function collectGarbage(parts: PruneParts, policy: GarbagePolicy): Promise<PruneResult | undefined> {
  if (!policy.isEnabled || !isTime(parts)) return undefined
  const lock = parts.locks.tryAcquire('garbage')
  if (lock === undefined) return undefined
  try {
    remember(parts.metadata, parts.now())
    measureCacheMounts(parts, parts.now(), MEASURE_MS)
    const { totalBytes, freeBytes } = diskOf(parts.paths.root)
    const rules = garbageRules(policy, totalBytes)
    const usedBytes = atMostUsed(parts.metadata)
    if (!rules.some((rule) => mayBeDue(parts, rule, usedBytes, freeBytes))) return undefined
    await parts.treeImages.openPresent()
    // Other builds of this process may be at work: what they use stays, as does that of the one that has ended just now.
    return await prune({ ...parts, leases: { ...parts.leases, others: parts.leases.all } }, rules, false)
  } finally {
    await lock[Symbol.asyncDispose]()
  }
}

function isTime({ metadata, now }: PruneParts): boolean {
  const row = metadata.get('SELECT value FROM settings WHERE key = ?', CHECKED)
  const checkedMs = row === undefined ? 0 : number(row, 'value')
  // A clock that was set back shall not stop it for years.
  return Math.abs(now() - checkedMs) >= PAUSE_MS
}

function remember(metadata: Metadata, nowMs: number): void {
  const sql = 'INSERT INTO settings (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value'
  metadata.run(sql, CHECKED, String(nowMs))
}

/** An upper bound for what the cache takes: what images share is in it. */
function atMostUsed(metadata: Metadata): number {
  const row = metadata.get(`SELECT
    (SELECT coalesce(sum(CASE WHEN has_tar THEN tar_size ELSE 0 END), 0) FROM layers) +
    (SELECT coalesce(sum(json_extract(value, '$.descriptor.size')), 0) FROM layers, json_each(blobs) WHERE blobs <> '[]') +
    (SELECT coalesce(sum(CAST(value AS INTEGER) * json_array_length(tree)), 0)
     FROM layers JOIN facts ON facts.key = 'content-size:' || layers.id WHERE tree IS NOT NULL) +
    (SELECT coalesce(sum(size), 0) FROM cache_mounts) AS bytes`)
  return row === undefined ? 0 : number(row, 'bytes')
}

function mayBeDue({ metadata, now }: PruneParts, rule: PruneRule, usedBytes: number, freeBytes: number): boolean {
  const keepBytes = bytesToKeep(rule, usedBytes, freeBytes)
  if (keepBytes !== 0 && usedBytes < keepBytes) return false
  if (rule.keepDurationMs === 0) return true
  const limitMs = now() - rule.keepDurationMs
  const sql =
    'SELECT EXISTS (SELECT 1 FROM cache WHERE used_ms <= ?1) OR EXISTS (SELECT 1 FROM cache_mounts WHERE used_ms <= ?1) AS due'
  const row = metadata.get(sql, limitMs)
  return row !== undefined && number(row, 'due') === 1
}
