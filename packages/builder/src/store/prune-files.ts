import { randomBytes } from 'node:crypto'
import { lstatSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { localPath } from '@ts-oci/runtime'
import type { StorePaths } from './paths.ts'

/** A file or directory of the store, as it was found. */
export interface StoreFile {
  readonly kind: 'blob' | 'table' | 'tree' | 'cache mount'
  readonly name: string
  readonly path: string
  readonly inode: bigint
  readonly modifiedNs: bigint
  /** When its content or its name last changed. */
  readonly changedMs: number
}

/** Everything below the directories whose content rows name. @param more a further directory of trees */
export function listFiles(paths: StorePaths, more?: string): readonly StoreFile[] {
  const below = (kind: StoreFile['kind'], directory: string): StoreFile[] =>
    readdirSync(localPath(directory)).flatMap((name) => {
      const path = join(directory, name)
      const stat = lstatSync(localPath(path), { throwIfNoEntry: false, bigint: true })
      if (stat === undefined) return []
      const changedMs = Number((stat.mtimeNs > stat.ctimeNs ? stat.mtimeNs : stat.ctimeNs) / 1_000_000n)
      return [{ kind, name, path, inode: stat.ino, modifiedNs: stat.mtimeNs, changedMs }]
    })
  return [
    ...below('blob', paths.blobs),
    ...below('table', paths.tables),
    ...below('tree', paths.snapshots),
    ...(more === undefined ? [] : below('tree', more)),
    ...below('cache mount', paths.cacheMounts),
  ]
}

/** A file under a name that nobody looks for. */
export interface AsideFile {
  readonly file: StoreFile
  readonly path: string
}

/** Files that are out of sight for as long as it takes to ask whether somebody wants them. */
export interface Aside {
  /** Undefined when it is gone, or when another one was made in its place. */
  add(file: StoreFile): AsideFile | undefined
  /** False when another one was made in its place: that one is whole as well. */
  putBack(aside: AsideFile): boolean
  /** From here on a kill brings none of them back. */
  settle(): void
}

const ASIDE = 'pruned-'
/** Ends the name of the mark of somebody who has files aside. */
const MARK = '.aside'

/**
 * @param mark a temporary name of this process: as long as a file has it, whoever finds this process dead puts back what
 * was aside ({@link restoreAside})
 */
export function createAside(mark: string): Aside {
  writeFileSync(mark, '', { mode: 0o600, flag: 'wx' })
  const owner = ownerOf(mark)
  return {
    add(file) {
      // Beside its place: a directory of a foreign owner cannot be moved to another one.
      const name = file.name.startsWith(ASIDE) ? asideName() : `${ASIDE}${owner}.${file.name}`
      const path = join(dirname(file.path), name)
      if (!tryRename(file.path, path)) return undefined
      const { ino, mtimeNs } = lstatSync(localPath(path), { bigint: true })
      if (ino === file.inode && mtimeNs === file.modifiedNs) return { file, path }
      putBack(path, file.path)
      return undefined
    },
    putBack: ({ file, path }) => putBack(path, file.path),
    settle: () => rmSync(mark, { force: true }),
  }
}

/** Puts back what a process had aside that died. What nobody wants of it goes with the next prune. */
export function restoreAside(paths: StorePaths, mark: string): void {
  if (!mark.endsWith(MARK)) return
  const prefix = `${ASIDE}${ownerOf(mark)}.`
  for (const directory of [paths.blobs, paths.tables, paths.snapshots, paths.cacheMounts])
    for (const name of readdirSync(directory))
      if (name.startsWith(prefix)) putBack(join(directory, name), join(directory, name.slice(prefix.length)))
}

/** The owner begins each temporary name. */
function ownerOf(mark: string): string {
  const name = basename(mark)
  return name.slice(0, name.indexOf('.'))
}

function putBack(path: string, place: string): boolean {
  return lstatSync(localPath(place), { throwIfNoEntry: false }) === undefined && tryRename(path, place)
}

/** False when it is gone. */
function tryRename(from: string, to: string): boolean {
  try {
    renameSync(localPath(from), localPath(to))
    return true
  } catch (error) {
    if ((error as { code?: unknown }).code === 'ENOENT') return false
    throw error
  }
}

/** True while a prune has the file of this path aside: a moment later it is back, or gone. */
export function isAside(path: string): boolean {
  const end = `.${basename(path)}`
  return readdirSync(dirname(path)).some((name) => name.startsWith(ASIDE) && name.endsWith(end))
}

/** What a kill leaves under such a name no row knows: the next prune removes it. */
export function asideName(): string {
  return `${ASIDE}${randomBytes(8).toString('hex')}`
}
