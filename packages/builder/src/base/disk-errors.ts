import { statfsSync } from 'node:fs'
import { errnoOf } from '@ts-oci/runtime'
import { BuilderError, isTsOciError } from './errors.ts'

// Result codes of SQLite (sqlite3.h).
const SQLITE_ERROR = 1
const SQLITE_BUSY = 5
const SQLITE_READONLY = 8
const SQLITE_IOERR = 10
const SQLITE_CORRUPT = 11
const SQLITE_FULL = 13
const SQLITE_CANTOPEN = 14
const SQLITE_PROTOCOL = 15
const SQLITE_NOTADB = 26

const SHARED_MEMORY_BYTES = 32 * 1024

/** Runs disk work of the store; what the disk refuses becomes an error that says what to do. */
export function onDisk<Result>(root: string, work: () => Result): Result {
  try {
    return work()
  } catch (cause) {
    throw diskError(root, cause)
  }
}

/**
 * A failed call on the store's files or database as our error: OCI_STORE_FULL, OCI_STORE_UNUSABLE; anything else is
 * handed back as it is.
 */
export function diskError(root: string, cause: unknown): unknown {
  if (isTsOciError(cause) && cause.code !== 'OCI_RUNTIME_FILES') return cause
  const errno = errnoOf(cause)
  const sqlite = sqliteCode(cause)
  if (isLockFailure(cause)) {
    return unusable(root, 'its file system has no file locks', cause, 'set TSBUILD_HOME to a directory on a local disk')
  }
  if (errno === 'ENOSPC' || errno === 'EDQUOT' || sqlite === SQLITE_FULL) return fullError(root, cause)
  if (errno === 'EROFS')
    return unusable(
      root,
      'its file system is read-only',
      cause,
      'set TSBUILD_HOME, or --store, to a directory on a volume or a tmpfs, such as /tmp/tsbuild',
    )
  if (errno === 'EACCES' || errno === 'EPERM' || sqlite === SQLITE_READONLY || sqlite === SQLITE_CANTOPEN) {
    return unusable(
      root,
      'it cannot be written',
      cause,
      'set TSBUILD_HOME, or --store, to a directory that belongs to you; in a container /tmp/tsbuild will do',
    )
  }
  if (sqlite === SQLITE_CORRUPT || sqlite === SQLITE_NOTADB || isOfAnother(sqlite, cause)) {
    return unusable(
      root,
      'meta.sqlite is damaged',
      cause,
      `remove ${root}/meta.sqlite, meta.sqlite-wal and meta.sqlite-shm: images named in index.json are adopted again, the build cache is lost`,
    )
  }
  // PROTOCOL: many processes opened it at once for longer than SQLite tries.
  if (sqlite === SQLITE_BUSY || sqlite === SQLITE_PROTOCOL)
    return unusable(root, 'another process holds its database', cause, 'try again when it has finished')
  if (isForeignFile(errno))
    return unusable(
      root,
      (cause as Error).message,
      cause,
      'it is no file of a store: find out who put it there, and remove it',
    )
  // SQLite's shared memory that finds no room is such an error as well.
  if (sqlite === SQLITE_IOERR && isFullDisk(root)) return fullError(root, cause)
  if (errno === 'EIO' || sqlite === SQLITE_IOERR)
    return unusable(root, 'input/output error', cause, 'look at the disk (dmesg) and at its free space')
  return cause
}

/** Not even room for the first block of SQLite's shared memory. */
function isFullDisk(root: string): boolean {
  try {
    const { bavail, bsize } = statfsSync(root)
    return bavail * bsize < SHARED_MEMORY_BYTES
  } catch {
    return false
  }
}

/** What stands in the way of a name of the store, and is no file of it. */
function isForeignFile(errno: string | undefined): boolean {
  return errno === 'ELOOP' || errno === 'EFBIG' || errno === 'EISDIR'
}

/** A call that found no room, wherever in a build it was made, as OCI_STORE_FULL; anything else is handed back. */
export function noRoomError(root: string, cause: unknown): unknown {
  if (isTsOciError(cause) && cause.code !== 'OCI_RUNTIME_FILES') return cause
  const errno = errnoOf(cause)
  const isFull = errno === 'ENOSPC' || errno === 'EDQUOT' || sqliteCode(cause) === SQLITE_FULL
  return isFull ? fullError(root, cause) : cause
}

/** Work that writes beside its own files some of the store's: where there was no room for these it says so. */
export async function withRoom<Result>(root: string, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work()
  } catch (cause) {
    throw noRoomError(root, cause)
  }
}

/** The error of a store that has no room. */
function fullError(root: string, cause?: unknown): BuilderError {
  return new BuilderError('OCI_STORE_FULL', `no space left for the store at ${root}`, {
    cause,
    hint: 'free some space (`tsbuild prune -a` empties the build cache), or set TSBUILD_HOME to a larger disk',
  })
}

/** The error of a store that cannot be used at all. */
export function unusable(root: string, why: string, cause: unknown, hint: string): BuilderError {
  return new BuilderError('OCI_STORE_UNUSABLE', `the store at ${root} cannot be used: ${why}`, { cause, hint })
}

/** A database that is whole and not ours, or lost what makes it ours. */
function isOfAnother(code: number | undefined, cause: unknown): boolean {
  return (
    code === SQLITE_ERROR &&
    /no such (table|column)|already exists|duplicate column name/.test((cause as Error).message)
  )
}

/** flock(2) itself fails where a file system or a mount option forbids it (ENOLCK, EOPNOTSUPP). */
function isLockFailure(error: unknown): boolean {
  return (error as { details?: { syscall?: unknown } } | null)?.details?.syscall === 'flock'
}

function sqliteCode(error: unknown): number | undefined {
  if (typeof error !== 'object' || error === null) return undefined
  const { code, errcode } = error as { code?: unknown; errcode?: unknown }
  // The low byte is the primary code; the rest says where it happened.
  return code === 'ERR_SQLITE_ERROR' && typeof errcode === 'number' ? errcode & 0xff : undefined
}
