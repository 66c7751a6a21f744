import { closeSync, fsyncSync, openSync } from 'node:fs'
import type { DatabaseSync, SQLInputValue, SQLOutputValue, StatementSync } from 'node:sqlite'
import { BuilderError } from '../base/errors.ts'
import { onDisk } from '../base/disk-errors.ts'

export type Row = Record<string, SQLOutputValue>
type Values = readonly SQLInputValue[]

/** The rows of the store: the only file that knows `node:sqlite`. */
export interface Metadata {
  get(sql: string, ...values: Values): Row | undefined
  all(sql: string, ...values: Values): Row[]
  run(sql: string, ...values: Values): number
  /**
   * Runs `work` with the write lock; all or nothing. Calls nest: the outermost commits.
   * `durable`: on the disk before the outermost returns, wherever it was asked for (an fsync, about 1 ms).
   */
  transaction<Result>(work: () => Result, options?: { readonly durable?: boolean }): Result
  /** Called once, with the write lock, before the transaction that is open commits. */
  beforeCommit(hook: () => void): void
  /** Called after the transaction that is open has committed, and not when it failed; at once where none is open. */
  afterCommit(hook: () => void): void
  /** Changes whenever another connection commits. */
  dataVersion(): number
  close(): void
}

// One entry a version of the store; PRAGMA user_version counts those that were applied. Entries never change.
const MIGRATIONS: readonly string[] = [
  `CREATE TABLE layers (
     id TEXT PRIMARY KEY, diff_id TEXT, tar_size INTEGER, created_ms INTEGER NOT NULL, description TEXT NOT NULL,
     remote TEXT, blobs TEXT NOT NULL, has_tar INTEGER NOT NULL, tree TEXT, has_table INTEGER NOT NULL
   ) WITHOUT ROWID;
   CREATE INDEX layers_diff_id ON layers (diff_id) WHERE diff_id IS NOT NULL;
   CREATE TABLE images (
     name TEXT PRIMARY KEY, manifest_digest TEXT NOT NULL, config_digest TEXT NOT NULL, layer_ids TEXT NOT NULL,
     size INTEGER NOT NULL, created_ms INTEGER NOT NULL, origin TEXT NOT NULL, is_complete INTEGER NOT NULL, repo_digests TEXT NOT NULL
   ) WITHOUT ROWID;
   CREATE INDEX images_config ON images (config_digest);
   CREATE TABLE cache (
     key TEXT PRIMARY KEY, layer_ids TEXT NOT NULL, has_content INTEGER NOT NULL, created_ms INTEGER NOT NULL, used_ms INTEGER NOT NULL,
     usage_count INTEGER NOT NULL, name TEXT NOT NULL, type TEXT NOT NULL, preimage TEXT NOT NULL
   ) WITHOUT ROWID;
   CREATE INDEX cache_name ON cache (name, created_ms);
   CREATE TABLE cache_links (alternative TEXT PRIMARY KEY, key TEXT NOT NULL) WITHOUT ROWID;
   CREATE INDEX cache_links_key ON cache_links (key);
   CREATE TABLE facts (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
   CREATE TABLE cache_mounts (id TEXT PRIMARY KEY, directory TEXT NOT NULL, created_ms INTEGER NOT NULL, used_ms INTEGER NOT NULL) WITHOUT ROWID;
   CREATE TABLE foreign_entries (id TEXT PRIMARY KEY, name TEXT, descriptor TEXT NOT NULL) WITHOUT ROWID;
   CREATE TABLE settings (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;`,
  // Null: named before this was kept.
  'ALTER TABLE images ADD COLUMN tagged_ms INTEGER',
  // Null: all of its files are on the disk.
  `ALTER TABLE layers ADD COLUMN unsynced TEXT;
   CREATE INDEX layers_unsynced ON layers (unsynced) WHERE unsynced IS NOT NULL;`,
  // Null: one image, whose manifest the name leads to; else the digest of the index, and the images behind the first.
  'ALTER TABLE images ADD COLUMN platforms TEXT',
  // Of thousands of images without a name, none is looked at for a name, an id or a digest that is another's.
  `CREATE INDEX images_id ON images ((CASE WHEN json_array_length(platforms, '$.more') > 0 THEN json_extract(platforms, '$.digest') ELSE config_digest END));
   CREATE INDEX images_manifest ON images (manifest_digest);
   CREATE INDEX images_platforms ON images (name) WHERE platforms IS NOT NULL;
   CREATE INDEX images_repositories ON images (name) WHERE repo_digests <> '[]';
   CREATE INDEX foreign_entries_name ON foreign_entries (name);`,
  // Also an index of which one image is here is known by its own digest.
  `DROP INDEX images_id;
   CREATE INDEX images_id ON images ((CASE WHEN platforms IS NULL THEN config_digest ELSE json_extract(platforms, '$.digest') END));`,
  // Null in sized_ms: nobody has measured it yet.
  `ALTER TABLE cache_mounts ADD COLUMN size INTEGER NOT NULL DEFAULT 0;
   ALTER TABLE cache_mounts ADD COLUMN sized_ms INTEGER;
   ALTER TABLE cache_mounts ADD COLUMN usage_count INTEGER NOT NULL DEFAULT 0;`,
]

/** A transaction of another process lasts milliseconds; a projection with a slow disk, longer. */
const BUSY_TIMEOUT_MS = 30_000

/** Opens (and creates, and brings up to date) `meta.sqlite`. @throws OCI_STORE_VERSION, OCI_STORE_UNUSABLE, OCI_STORE_FULL */
export function openMetadata(root: string, path: string): Metadata {
  return onDisk(root, () => connect(root, path))
}

function connect(root: string, path: string): Metadata {
  // At first need: the import costs milliseconds that parsing and --print do not owe.
  const { DatabaseSync } = process.getBuiltinModule('node:sqlite')
  makePrivate(path)
  const database = new DatabaseSync(path, { timeout: BUSY_TIMEOUT_MS })
  try {
    // NORMAL loses the last commits when the power fails, never more; names are synced after their commit (`durable`).
    database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA temp_store = MEMORY')
    migrate(database, root)
  } catch (error) {
    database.close()
    throw error
  }
  return createMetadata(database, root, path)
}

/** SQLite gives its own files, `-wal` and `-shm` too, the mode of this one; without it, 0644 less the umask. */
function makePrivate(path: string): void {
  try {
    closeSync(openSync(path, 'wx', 0o600))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
}

function migrate(database: DatabaseSync, root: string): void {
  if (userVersion(database) === MIGRATIONS.length) return
  database.exec('BEGIN IMMEDIATE')
  try {
    const version = userVersion(database)
    if (version > MIGRATIONS.length) {
      throw new BuilderError(
        'OCI_STORE_VERSION',
        `the store at ${root} has format ${version}; this version of tsbuild knows ${MIGRATIONS.length}`,
        {
          hint: 'use a newer tsbuild, or set TSBUILD_HOME to another directory',
        },
      )
    }
    for (const step of MIGRATIONS.slice(version)) database.exec(step)
    database.exec(`PRAGMA user_version = ${MIGRATIONS.length}; COMMIT`)
  } catch (error) {
    database.exec('ROLLBACK')
    throw error
  }
}

function userVersion(database: DatabaseSync): number {
  return Number(database.prepare('PRAGMA user_version').get()?.['user_version'] ?? 0)
}

function createMetadata(database: DatabaseSync, root: string, path: string): Metadata {
  const statements = new Map<string, StatementSync>()
  let hooks: (() => void)[] = []
  let committed: (() => void)[] = []
  let isOpen = false
  let isDurable = false

  function prepare(sql: string): StatementSync {
    let statement = statements.get(sql)
    if (statement === undefined) statements.set(sql, (statement = database.prepare(sql)))
    return statement
  }

  function transaction<Result>(work: () => Result, options: { readonly durable?: boolean } = {}): Result {
    if (options.durable === true) isDurable = true
    if (isOpen) return work()
    return onDisk(root, () => outermost(work))
  }

  function outermost<Result>(work: () => Result): Result {
    let done: (() => void)[] = []
    isOpen = true
    try {
      prepare('BEGIN IMMEDIATE').run()
      const result = work()
      const last = hooks
      hooks = []
      for (const hook of last) hook()
      prepare('COMMIT').run()
      // Not by `synchronous = FULL`, which a nested call comes too late for: SQLite ignores it inside a transaction.
      if (isDurable) syncLog(path)
      done = committed
      return result
    } catch (error) {
      // SQLite has rolled back by itself when the disk was full.
      if (database.isTransaction) prepare('ROLLBACK').run()
      throw error
    } finally {
      hooks = []
      committed = []
      isOpen = false
      isDurable = false
      for (const hook of done) hook()
    }
  }

  return {
    get: (sql, ...values) => onDisk(root, () => prepare(sql).get(...values)),
    all: (sql, ...values) => onDisk(root, () => prepare(sql).all(...values)),
    run: (sql, ...values) => onDisk(root, () => Number(prepare(sql).run(...values).changes)),
    transaction,
    beforeCommit(hook) {
      if (!hooks.includes(hook)) hooks.push(hook)
    },
    afterCommit(hook) {
      if (isOpen) committed.push(hook)
      else hook()
    },
    dataVersion: () => Number(prepare('PRAGMA data_version').get()?.['data_version'] ?? 0),
    close() {
      statements.clear()
      database.close()
    },
  }
}

/** A commit is in the write-ahead log; where a checkpoint has moved it already, that has synced both. */
function syncLog(path: string): void {
  const fd = openIfPresent(`${path}-wal`)
  // A file system without shared memory has no such log: there every commit is synced.
  if (fd === undefined) return
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}

function openIfPresent(path: string): number | undefined {
  try {
    return openSync(path, 'r')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

/** A text column; '' for NULL. */
export function text(row: Row, column: string): string {
  return String(row[column] ?? '')
}

export function number(row: Row, column: string): number {
  return Number(row[column] ?? 0)
}

/** @throws OCI_STORE_UNUSABLE for a page that the disk has altered: SQLite has no checksums */
export function json<Value>(row: Row, column: string): Value {
  try {
    return JSON.parse(String(row[column])) as Value
  } catch (cause) {
    throw new BuilderError(
      'OCI_STORE_UNUSABLE',
      `the database of the store is damaged: ${column} of a row is no JSON`,
      {
        hint: 'look at the disk (dmesg); remove the store, or set TSBUILD_HOME to another directory',
        cause,
      },
    )
  }
}
