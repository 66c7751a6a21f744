import { rmSync } from 'node:fs'
import { LRUCache } from 'lru-cache'
import { onDisk } from '../base/disk-errors.ts'
import type { LayerTable } from '../view/types.ts'
import { replaceFile } from './blobs.ts'
import { createFacts } from './facts.ts'
import type { Metadata } from './metadata.ts'
import { layerFileName, type StorePaths } from './paths.ts'
import { readStoreFile } from './read-file.ts'
import { decodeTable, encodeTable } from './table-codec.ts'
import type { TemporaryNames } from './temporary.ts'

/** Entries of decoded tables that are kept: about 300 bytes each. */
const MAX_CACHED_ENTRIES = 150_000

/** A table of millions of entries is smaller: what is larger was not written by us. */
const MAX_TABLE_BYTES = 1024 ** 3

/** The tables of layers: files in `tables/`, those that were asked for last in memory. */
export interface LayerTables {
  readTable(id: string): LayerTable | undefined
  /** Writes the file, and answers what goes to `noteSize` with the row that speaks of it: bytes of all files. */
  writeTable(id: string, table: LayerTable): number
  /** Listings ask for the size of every image: no table is decoded for them. */
  noteSize(id: string, sizeBytes: number): void
  /** Bytes of all files; undefined where there is no table. */
  contentSizeBytes(id: string): number | undefined
  /** With the row that the transaction which runs deletes. `keepsFile`: somebody else removes it. */
  forget(id: string, keepsFile: boolean): void
  /** The file of a table of which no row speaks. */
  deleteTable(id: string): void
}

export interface LayerTablesOptions {
  readonly paths: StorePaths
  readonly metadata: Metadata
  readonly temporary: TemporaryNames
}

export function createLayerTables({ paths, metadata, temporary }: LayerTablesOptions): LayerTables {
  const tables = new LRUCache<string, LayerTable>({
    maxSize: MAX_CACHED_ENTRIES,
    sizeCalculation: (table) => table.entries.length + 1,
  })
  const facts = createFacts(metadata)
  const pathOf = (id: string): string => `${paths.tables}/${layerFileName(id)}`

  function readTable(id: string): LayerTable | undefined {
    const known = tables.get(id)
    if (known !== undefined) return known
    const bytes = onDisk(paths.root, () => readStoreFile(pathOf(id), MAX_TABLE_BYTES))
    if (bytes === undefined) return undefined
    const table = decodeTable(bytes)
    tables.set(id, table)
    return table
  }

  // Whatever it is: a directory of this name would be in the way of a table.
  const removeFile = (id: string): void =>
    onDisk(paths.root, () => rmSync(pathOf(id), { force: true, recursive: true }))

  const noteSize = (id: string, sizeBytes: number): void => facts.putFact(sizeKey(id), String(sizeBytes))

  return {
    readTable,
    writeTable(id, table) {
      replaceFile(pathOf(id), temporary.next('table'), encodeTable(table))
      tables.set(id, table)
      return sizeOf(table)
    },
    noteSize,
    contentSizeBytes(id) {
      const known = facts.getFact(sizeKey(id))
      if (known !== undefined) return Number(known)
      const table = readTable(id)
      if (table === undefined) return undefined
      const size = sizeOf(table)
      noteSize(id, size)
      return size
    },
    forget(id, keepsFile) {
      metadata.run('DELETE FROM facts WHERE key = ?', sizeKey(id))
      // A transaction that fails, or is killed, keeps the row: it must not lose the file.
      metadata.afterCommit(() => {
        tables.delete(id)
        if (!keepsFile) removeFile(id)
      })
    },
    deleteTable(id) {
      tables.delete(id)
      removeFile(id)
    },
  }
}

function sizeOf(table: LayerTable): number {
  return table.entries.reduce((sum, entry) => sum + (entry.type === 'file' ? entry.size : 0), 0)
}

function sizeKey(id: string): string {
  return `content-size:${id}`
}
