import { randomBytes } from 'node:crypto'
import { rmSync } from 'node:fs'
import { LRUCache } from 'lru-cache'
import type { LayerTable } from '../view/types.ts'
import type { DiffID } from '../oci/digest.ts'
import { replaceFile } from './blobs.ts'
import { onDisk } from '../base/disk-errors.ts'
import { layerFileName, type StorePaths } from './paths.ts'
import { json, number, text, type Metadata, type Row } from './metadata.ts'
import { readStoreFile } from './read-file.ts'
import { decodeTable, encodeTable } from './table-codec.ts'
import type { TemporaryNames } from './temporary.ts'
import { treesOf } from './tree-sync.ts'
import { addUnsynced, dropUnsynced, type Unsynced } from './unsynced.ts'
import type { LayerBlob, LayerRecord, LayerRecords, TreeForm } from './types.ts'

/** Entries of decoded tables that are kept: about 300 bytes each. */
const MAX_CACHED_ENTRIES = 150_000

/** A table of millions of entries is smaller: what is larger was not written by us. */
const MAX_TABLE_BYTES = 1024 ** 3

/** Places that are remembered for a layer, the last named first: a base that is followed by digest names a new one each week. */
const MAX_REFERENCES = 16

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
  const tables = new LRUCache<string, LayerTable>({
    maxSize: MAX_CACHED_ENTRIES,
    sizeCalculation: (table) => table.entries.length + 1,
  })

  /** Tables that were written and that no row speaks of yet. */
  const written = new Set<string>()

  function get(id: string): LayerRecord | undefined {
    const row = metadata.get('SELECT * FROM layers WHERE id = ?', id)
    return row === undefined ? undefined : fromRow(row, bootId)
  }

  function replace(record: LayerRecord, unsynced?: Unsynced): void {
    metadata.run(
      `INSERT INTO layers (id, diff_id, tar_size, created_ms, description, remote, blobs, has_tar, tree, has_table, unsynced)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET diff_id = excluded.diff_id, tar_size = excluded.tar_size,
       created_ms = excluded.created_ms, description = excluded.description, remote = excluded.remote, blobs = excluded.blobs,
       has_tar = excluded.has_tar, tree = excluded.tree, has_table = excluded.has_table, unsynced = excluded.unsynced`,
      record.id,
      record.diffId ?? null,
      record.tarSizeBytes ?? null,
      record.createdMs,
      record.description,
      record.remote === undefined ? null : JSON.stringify(record.remote),
      JSON.stringify(record.blobs),
      Number(record.hasTar),
      record.trees === undefined ? null : JSON.stringify(record.trees),
      Number(record.hasTable),
      unsynced === undefined ? null : JSON.stringify(unsynced),
    )
  }

  function put(record: LayerRecord, isSynced = false): void {
    lease(record.id)
    // One transaction: two processes that add a form each must both find theirs in the row.
    metadata.transaction(() => {
      const row = metadata.get('SELECT * FROM layers WHERE id = ?', record.id)
      const existing = row === undefined ? undefined : fromRow(row, bootId)
      const former = row === undefined ? undefined : unsyncedOf(row)
      const isTableWritten = written.delete(record.id)
      const added = withTreeTokens(record)
      const unsynced = isSynced ? former : addUnsynced({ existing, added, former, boot: bootId(), isTableWritten })
      replace(existing === undefined ? added : mergeForms(existing, added), unsynced)
    })
  }

  function readTable(id: string): LayerTable | undefined {
    const known = tables.get(id)
    if (known !== undefined) return known
    const path = `${paths.tables}/${layerFileName(id)}`
    const bytes = onDisk(paths.root, () => readStoreFile(path, MAX_TABLE_BYTES))
    if (bytes === undefined) return undefined
    const table = decodeTable(bytes)
    tables.set(id, table)
    return table
  }

  /** Listings ask for the size of every image: no table is decoded for them. */
  function rememberSize(id: string, table: LayerTable): number {
    const size = table.entries.reduce((sum, entry) => sum + (entry.type === 'file' ? entry.size : 0), 0)
    metadata.run(
      'INSERT INTO facts (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value',
      sizeKey(id),
      String(size),
    )
    return size
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
    replace: (record) => replace(record),
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
    deleteRow(id) {
      metadata.run('DELETE FROM layers WHERE id = ?', id)
      metadata.run('DELETE FROM facts WHERE key = ?', sizeKey(id))
      metadata.afterCommit(() => tables.delete(id))
    },
    delete(id) {
      const path = `${paths.tables}/${layerFileName(id)}`
      metadata.run('DELETE FROM layers WHERE id = ?', id)
      metadata.run('DELETE FROM facts WHERE key = ?', sizeKey(id))
      // A transaction that fails, or is killed, keeps the row: it must not lose the file.
      metadata.afterCommit(() => {
        tables.delete(id)
        onDisk(paths.root, () => rmSync(path, { force: true }))
      })
    },
    list: () => metadata.all('SELECT * FROM layers ORDER BY created_ms, id').map((row) => fromRow(row, bootId)),
    readTable,
    writeTable(id, table) {
      replaceFile(`${paths.tables}/${layerFileName(id)}`, temporary.next('table'), encodeTable(table))
      tables.set(id, table)
      written.add(id)
      rememberSize(id, table)
    },
    contentSizeBytes(id) {
      const known = metadata.get('SELECT value FROM facts WHERE key = ?', sizeKey(id))
      if (known !== undefined) return Number(text(known, 'value'))
      const table = readTable(id)
      return table === undefined ? undefined : rememberSize(id, table)
    },
  }
}

/** Another text with each directory that takes the place of a tree: a sync speaks for the one that it found. */
function withTreeTokens(record: LayerRecord): LayerRecord {
  if (record.trees === undefined) return record
  const token = randomBytes(8).toString('hex')
  return { ...record, trees: record.trees.map((tree) => (tree.synced ? tree : { ...tree, token })) }
}

function sizeKey(id: string): string {
  return `content-size:${id}`
}

function fromRow(row: Row, bootId: () => string): LayerRecord {
  // A tree that was not synced may lack what a crash of the machine kept from the disk.
  const trees = treesOf(row).filter((tree) => tree.synced || tree.bootId === bootId())
  const record: LayerRecord = {
    id: text(row, 'id'),
    createdMs: number(row, 'created_ms'),
    description: text(row, 'description'),
    blobs: json<readonly LayerBlob[]>(row, 'blobs'),
    hasTar: row['has_tar'] === 1,
    hasTable: row['has_table'] === 1,
    ...(row['diff_id'] === null ? {} : { diffId: text(row, 'diff_id') as DiffID }),
    ...(row['tar_size'] === null ? {} : { tarSizeBytes: number(row, 'tar_size') }),
    ...(row['remote'] === null ? {} : { remote: json<NonNullable<LayerRecord['remote']>>(row, 'remote') }),
    ...(trees.length === 0 ? {} : { trees }),
  }
  return dropUnsynced(record, unsyncedOf(row), bootId)
}

function unsyncedOf(row: Row): Unsynced | undefined {
  return row['unsynced'] === null ? undefined : json<Unsynced>(row, 'unsynced')
}

function isAtHand({ hasTar, blobs, trees, remote }: LayerRecord): boolean {
  return hasTar || blobs.length > 0 || trees !== undefined || remote !== undefined
}

/** What the two know together. The time of the first stands: it is in histories already. */
function mergeForms(existing: LayerRecord, added: LayerRecord): LayerRecord {
  const known = new Set(existing.blobs.map((blob) => blob.descriptor.digest))
  const diffId = existing.diffId ?? added.diffId
  const tarSizeBytes = existing.tarSizeBytes ?? added.tarSizeBytes
  const trees = mergeTrees(existing.trees, added.trees)
  const remote = mergeRemotes(existing.remote, added.remote)
  return {
    id: existing.id,
    createdMs: existing.createdMs,
    description: existing.description === '' ? added.description : existing.description,
    blobs: [...existing.blobs, ...added.blobs.filter((blob) => !known.has(blob.descriptor.digest))],
    hasTar: existing.hasTar || added.hasTar,
    hasTable: existing.hasTable || added.hasTable,
    ...(diffId === undefined ? {} : { diffId }),
    ...(tarSizeBytes === undefined ? {} : { tarSizeBytes }),
    ...(remote === undefined ? {} : { remote }),
    ...(trees === undefined ? {} : { trees }),
  }
}

/** What was added replaces one of its kind. */
function mergeTrees(existing: LayerRecord['trees'], added: LayerRecord['trees']): LayerRecord['trees'] {
  if (existing === undefined || added === undefined) return added ?? existing
  const isReplaced = (tree: TreeForm): boolean =>
    added.some(({ xattrs, owners }) => xattrs === tree.xattrs && owners === tree.owners)
  return [...existing.filter((tree) => !isReplaced(tree)), ...added]
}

function mergeRemotes(existing: LayerRecord['remote'], added: LayerRecord['remote']): LayerRecord['remote'] {
  if (existing === undefined || added === undefined) return added ?? existing
  if (existing.descriptor.digest !== added.descriptor.digest) return added
  return {
    descriptor: existing.descriptor,
    references: [...new Set([...added.references, ...existing.references])].slice(0, MAX_REFERENCES),
  }
}
