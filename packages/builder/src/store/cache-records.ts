import { createFacts } from './facts.ts'
import { json, number, text, type Metadata, type Row } from './metadata.ts'
import type { CacheRecord, CacheRecords } from './types.ts'

/** Marks of use that are kept in memory before they are written. */
const MAX_TOUCHED = 500

/** A use sooner after the last one that was written is not written: builds in a row shall not each wait for the disk. */
const USE_RESOLUTION_MS = 10 * 60_000

/** {@link CacheRecords} and what the store itself needs of them. */
export interface StoredCache extends CacheRecords {
  flush(): void
  /** By its own key; neither leased nor marked as used. */
  peek(key: string): CacheRecord | undefined
}

/** Rows of what vertices gave. Marks of use are written together, at the latest by `flush`: a build that is all cached reads only. */
export function createCacheRecords(metadata: Metadata, now: () => number, lease: (key: string) => void): StoredCache {
  const facts = createFacts(metadata)
  const touched = new Map<string, { usedMs: number; count: number }>()

  function flush(): void {
    if (touched.size === 0) return
    metadata.transaction(() => {
      for (const [key, { usedMs, count }] of touched) {
        metadata.run(
          'UPDATE cache SET used_ms = max(used_ms, ?), usage_count = usage_count + ? WHERE key = ?',
          usedMs,
          count,
          key,
        )
      }
    })
    touched.clear()
  }

  function touch(record: CacheRecord): CacheRecord {
    const mark = { usedMs: now(), count: (touched.get(record.key)?.count ?? 0) + 1 }
    if (touched.has(record.key) || mark.usedMs - record.usedMs >= USE_RESOLUTION_MS) touched.set(record.key, mark)
    if (touched.size > MAX_TOUCHED) flush()
    return { ...record, usedMs: mark.usedMs, usageCount: record.usageCount + mark.count }
  }

  function remove(key: string): void {
    metadata.run('DELETE FROM cache WHERE key = ?', key)
    metadata.run('DELETE FROM cache_links WHERE key = ?', key)
  }

  return {
    flush,
    peek(key) {
      const row = metadata.get('SELECT * FROM cache WHERE key = ?', key)
      return row === undefined ? undefined : fromRow(row)
    },
    find(key) {
      lease(key)
      const row =
        metadata.get('SELECT * FROM cache WHERE key = ?', key) ??
        metadata.get(
          'SELECT cache.* FROM cache_links JOIN cache ON cache.key = cache_links.key WHERE alternative = ?',
          key,
        )
      return row === undefined ? undefined : touch(fromRow(row))
    },
    put(record, alternativeKeys, { isReplacing = false, notes = [] } = {}) {
      lease(record.key)
      // One transaction: each writes every page that it touches.
      metadata.transaction(() => {
        if (isReplacing) for (const alternative of alternativeKeys) remove(alternative)
        putRow(metadata, record)
        for (const alternative of alternativeKeys) link(metadata, alternative, record.key)
        for (const [key, value] of notes) facts.putFact(key, value)
      })
    },
    link: (alternative, key) => link(metadata, alternative, key),
    delete: (key) => metadata.transaction(() => remove(key)),
    list: () => metadata.all('SELECT * FROM cache ORDER BY created_ms, key').map(fromRow),
    findByName(name) {
      const row = metadata.get('SELECT * FROM cache WHERE name = ? ORDER BY created_ms DESC, key LIMIT 1', name)
      return row === undefined ? undefined : fromRow(row)
    },
    ...facts,
  }
}

function putRow(metadata: Metadata, record: CacheRecord): void {
  metadata.run(
    `INSERT INTO cache (key, layer_ids, has_content, created_ms, used_ms, usage_count, name, type, preimage) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT (key) DO UPDATE SET layer_ids = excluded.layer_ids, has_content = excluded.has_content, created_ms = excluded.created_ms,
     used_ms = excluded.used_ms, usage_count = max(usage_count, excluded.usage_count), name = excluded.name, type = excluded.type,
     preimage = excluded.preimage`,
    record.key,
    JSON.stringify(record.layerIds),
    Number(record.hasContent),
    record.createdMs,
    record.usedMs,
    record.usageCount,
    record.name,
    record.type,
    record.preimage,
  )
}

function link(metadata: Metadata, alternative: string, key: string): void {
  if (alternative === key) return
  metadata.run(
    'INSERT INTO cache_links (alternative, key) VALUES (?, ?) ON CONFLICT (alternative) DO UPDATE SET key = excluded.key',
    alternative,
    key,
  )
}

function fromRow(row: Row): CacheRecord {
  return {
    key: text(row, 'key'),
    layerIds: json<readonly string[]>(row, 'layer_ids'),
    hasContent: row['has_content'] === 1,
    createdMs: number(row, 'created_ms'),
    usedMs: number(row, 'used_ms'),
    usageCount: number(row, 'usage_count'),
    name: text(row, 'name'),
    type: text(row, 'type'),
    preimage: text(row, 'preimage'),
  }
}
