import {
  chmodSync,
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  lstatSync,
  openSync,
  readdirSync,
  type Stats,
} from 'node:fs'
import { basename, join } from 'node:path'
import { unusable } from '../base/disk-errors.ts'
import type { StorePaths } from './paths.ts'
import { mayOthersWrite } from './parents.ts'

const OTHERS = 0o077
const DIRECTORY_MODE = 0o700
const FILE_MODE = 0o600

/** What a directory may hold that becomes a store: parts of one, and what a fresh file system or a checkout puts there. */
const HARMLESS = new Set(['lost+found', '.gitkeep', '.gitignore', '.keep'])

/** The directories that a store has, those above first. */
function storeDirectories(paths: StorePaths): readonly string[] {
  const { blobs, tables, snapshots, cacheMounts, run, tmp, memos } = paths
  return [join(paths.root, 'blobs'), blobs, tables, snapshots, cacheMounts, run, tmp, memos]
}

function storeFiles({ database, index, layout }: StorePaths): readonly string[] {
  return [database, `${database}-wal`, `${database}-shm`, `${database}-journal`, index, layout]
}

/**
 * Makes sure that nobody but this user reads or changes the store, before anything in it is believed. Layers hold what
 * their images hold, and trees hold set-user-id files of root: whoever can reach one by its path can run it. A link, a
 * file or a directory of somebody else would make us write and delete elsewhere.
 *
 * What is ours and merely open is closed; what others own, link or could have written is refused. `root` is looked at
 * through a descriptor; once it is closed nobody else can exchange what is in it, so names are enough for the rest.
 * @param root the store's directory without links in its path
 * @returns the directories that are missing
 * @throws OCI_STORE_UNUSABLE
 */
export function guardStore(paths: StorePaths, root: string): readonly string[] {
  const fd = openDirectory(paths.root, root)
  try {
    const stat = fstatSync(fd)
    checkOwner(paths.root, paths.root, stat)
    const wasOpen = (stat.mode & OTHERS) !== 0
    if (wasOpen) {
      checkOpenRoot(paths, root, stat)
      // All of it is judged as it was found: closed first, it would pass the next time.
      checkParts(paths, true)
      close(paths.root, fd, stat)
    }
    return checkParts(paths, false)
  } finally {
    closeSync(fd)
  }
}

function openDirectory(shown: string, root: string): number {
  try {
    return openSync(root, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code !== 'ELOOP' && code !== 'ENOTDIR') throw error
    throw unusable(shown, `${root} is not a directory`, error, 'set TSBUILD_HOME, or --store, to a directory')
  }
}

function checkOpenRoot(paths: StorePaths, root: string, stat: Stats): void {
  const known = new Set([...storeDirectories(paths), ...storeFiles(paths)].map((path) => basename(path)))
  const names = readdirSync(root).filter((name) => !HARMLESS.has(name))
  if (names.length === 0) return
  const isStore =
    names.includes('oci-layout') || names.includes('meta.sqlite') || names.every((name) => known.has(name))
  if (!isStore) {
    throw unusable(
      paths.root,
      'it is no store, holds other files, and others may look into it',
      undefined,
      'set TSBUILD_HOME, or --store, to an empty directory or to one that does not exist yet',
    )
  }
  if (mayOthersWrite(stat)) throw writable(paths.root, paths.root, stat)
}

/** `isReachable`: others can pass through the root, or could until now. */
function checkParts(paths: StorePaths, isReachable: boolean): readonly string[] {
  const missing = storeDirectories(paths).filter((path) => !checkDirectory(paths.root, path, isReachable))
  checkDirectory(paths.root, join(paths.run, 'executor'), isReachable)
  for (const path of storeFiles(paths)) checkFile(paths.root, path, isReachable)
  return missing
}

function checkDirectory(root: string, path: string, isReachable: boolean): boolean {
  const stat = lstatSync(path, { throwIfNoEntry: false })
  if (stat === undefined) return false
  if (!stat.isDirectory()) throw replaced(root, path, stat, 'a directory')
  checkOwner(root, path, stat)
  tighten(root, path, stat, isReachable, DIRECTORY_MODE)
  return true
}

function checkFile(root: string, path: string, isReachable: boolean): void {
  const stat = lstatSync(path, { throwIfNoEntry: false })
  if (stat === undefined) return
  if (!stat.isFile()) throw replaced(root, path, stat, 'a file')
  checkOwner(root, path, stat)
  // SQLite's own rule, too: a database with two names has two logs.
  if (stat.nlink > 1)
    throw unusable(
      root,
      `${path} has ${stat.nlink} names (hard links)`,
      undefined,
      'find out who made them; a copy of it (cp -p, then mv) has one',
    )
  tighten(root, path, stat, isReachable, FILE_MODE)
}

function tighten(root: string, path: string, stat: Stats, isReachable: boolean, mode: number): void {
  if ((stat.mode & OTHERS) === 0) return
  if (isReachable) {
    if (mayOthersWrite(stat)) throw writable(root, path, stat)
    return
  }
  try {
    chmodSync(path, mode)
  } catch (error) {
    // The database's log goes with its last user.
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
}

function close(root: string, fd: number, stat: Stats): void {
  fchmodSync(fd, stat.mode & 0o7777 & ~OTHERS)
  if ((fstatSync(fd).mode & OTHERS) === 0) return
  throw unusable(
    root,
    'others may look into it, and its file system keeps no permissions',
    undefined,
    'set TSBUILD_HOME, or --store, to a directory on a local disk',
  )
}

function checkOwner(root: string, path: string, { uid }: Stats): void {
  const own = process.geteuid?.() ?? uid
  if (uid === own) return
  throw unusable(
    root,
    `${path} belongs to user ${uid}, not to user ${own}`,
    undefined,
    'run as its owner, or set TSBUILD_HOME, or --store, to a directory that belongs to you',
  )
}

function replaced(root: string, path: string, stat: Stats, wanted: string): Error {
  const found = stat.isSymbolicLink() ? 'a symbolic link' : `not ${wanted}`
  return unusable(
    root,
    `${path} is ${found}`,
    undefined,
    'find out who put it there; remove it, or set TSBUILD_HOME to another directory',
  )
}

function writable(root: string, path: string, { mode }: Stats): Error {
  return unusable(
    root,
    `others may write to ${path} (mode ${(mode & 0o7777).toString(8).padStart(4, '0')})`,
    undefined,
    `where you trust what is in it: chmod -R go-w ${JSON.stringify(root)}; else remove it`,
  )
}
