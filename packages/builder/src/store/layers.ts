import { randomBytes } from 'node:crypto'
import { fromRow, isAtHand, mergeForms, replaceRow, unsyncedOf } from './layer-rows.ts'
import { createLayerTables } from './layer-tables.ts'
import { text, type Metadata } from './metadata.ts'
import type { StorePaths } from './paths.ts'
import type { TemporaryNames } from './temporary.ts'
import type { LayerRecord, LayerRecords } from './types.ts'
import { addUnsynced } from './unsynced.ts'

export interface LayerRecordsOptions {
  readonly paths: StorePaths
  readonly metadata: Metadata
  readonly temporary: TemporaryNames
  readonly bootId: () => string
  readonly lease: (id: string) => void
}

/** {@link LayerRecords} and what the store itself needs of them. */
export interface StoredLayers extends LayerRecords {
  /** `isSynced`: its files are not ours, and nobody will sync them for us. */
  put(record: LayerRecord, isSynced?: boolean): void
  /** Marks of the rows, or of those with these ids, that name files which a sync has yet to put on the disk. */
  unsynced(ids?: readonly string[]): readonly string[]
  /** Its files stay. */
  deleteRow(id: string): void
  /** After a sync that began when the marks had been read. */
  markSynced(marks: readonly string[]): void
}

/** Rows of layers, and their tables as files in `tables/`. */
export function createLayerRecords({ paths, metadata, temporary, bootId, lease }: LayerRecordsOptions): StoredLayers {
  const tables = createLayerTables({ paths, metadata, temporary })
  /** Tables that were written and that no row speaks of yet, with the bytes of their files. */
  const written = new Map<string, number>()

  function get(id: string): LayerRecord | undefined {
    const row = metadata.get('SELECT * FROM layers WHERE id = ?', id)
    return row === undefined ? undefined : fromRow(row, bootId)
  }

  function put(record: LayerRecord, isSynced = false): void {
    lease(record.id)
    // One transaction: two processes that add a form each must both find theirs in the row.
    metadata.transaction(() => {
      const row = metadata.get('SELECT * FROM layers WHERE id = ?', record.id)
      const existing = row === undefined ? undefined : fromRow(row, bootId)
      const former = row === undefined ? undefined : unsyncedOf(row)
      const tableBytes = written.get(record.id)
      const isTableWritten = written.delete(record.id)
      const added = withTreeTokens(record)
      const unsynced = isSynced ? former : addUnsynced({ existing, added, former, boot: bootId(), isTableWritten })
      replaceRow(metadata, existing === undefined ? added : mergeForms(existing, added), unsynced)
      if (tableBytes !== undefined) tables.noteSize(record.id, tableBytes)
    })
  }

  function remove(id: string, keepsTable: boolean): void {
    metadata.run('DELETE FROM layers WHERE id = ?', id)
    tables.forget(id, keepsTable)
  }

  return {
    get,
    findByDiffId(diffId) {
      const rows = metadata.all('SELECT * FROM layers WHERE diff_id = ? ORDER BY created_ms, id', diffId)
      const records = rows.map((row) => fromRow(row, bootId))
      // One that a crash of the machine left without its files gives way to one that was made again.
      return records.find(isAtHand) ?? records[0]
    },
    put,
    replace: (record) => replaceRow(metadata, record, undefined),
    unsynced(ids) {
      const rows = metadata.all(
        `SELECT unsynced FROM layers WHERE unsynced IS NOT NULL AND (?1 IS NULL OR id IN (SELECT value FROM json_each(?1)))`,
        ids === undefined ? null : JSON.stringify(ids),
      )
      return rows.filter((row) => unsyncedOf(row)?.boot === bootId()).map((row) => text(row, 'unsynced'))
    },
    markSynced(marks) {
      if (marks.length === 0) return
      metadata.transaction(() => {
        for (const mark of marks) metadata.run('UPDATE layers SET unsynced = NULL WHERE unsynced = ?', mark)
      })
    },
    deleteRow: (id) => remove(id, true),
    delete: (id) => remove(id, false),
    list: () => metadata.all('SELECT * FROM layers ORDER BY created_ms, id').map((row) => fromRow(row, bootId)),
    readTable: tables.readTable,
    deleteTable: tables.deleteTable,
    writeTable(id, table) {
      written.set(id, tables.writeTable(id, table))
    },
    contentSizeBytes: tables.contentSizeBytes,
  }
}

/** Another text with each directory that takes the place of a tree: a sync speaks for the one that it found. */
function withTreeTokens(record: LayerRecord): LayerRecord {
  if (record.trees === undefined) return record
  const token = randomBytes(8).toString('hex')
  return { ...record, trees: record.trees.map((tree) => (tree.synced ? tree : { ...tree, token })) }
}
