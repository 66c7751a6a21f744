import { randomBytes } from 'node:crypto'
import { lstatSync, readdirSync, renameSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { StorePaths } from './layout.ts'

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

/** Everything below the directories whose content rows name. */
export function listFiles(paths: StorePaths): readonly StoreFile[] {
  const below = (kind: StoreFile['kind'], directory: string): StoreFile[] =>
    readdirSync(directory).flatMap((name) => {
      const path = join(directory, name)
      const stat = lstatSync(path, { throwIfNoEntry: false, bigint: true })
      if (stat === undefined) return []
      const changedMs = Number((stat.mtimeNs > stat.ctimeNs ? stat.mtimeNs : stat.ctimeNs) / 1_000_000n)
      return [{ kind, name, path, inode: stat.ino, modifiedNs: stat.mtimeNs, changedMs }]
    })
  return [
    ...below('blob', paths.blobs),
    ...below('table', paths.tables),
    ...below('tree', paths.snapshots),
    ...below('cache mount', paths.cacheMounts),
  ]
}

/** A file under a name that nobody looks for. `isSame`: it is the one that was found, not one made meanwhile. */
export interface AsideFile {
  readonly file: StoreFile
  readonly path: string
  readonly isSame: boolean
}

/** Empty when it is gone. Beside its place: a directory of a foreign owner cannot be moved to another one. */
export function setAside(file: StoreFile): readonly AsideFile[] {
  const path = join(dirname(file.path), asideName())
  try {
    renameSync(file.path, path)
  } catch (error) {
    if ((error as { code?: unknown }).code === 'ENOENT') return []
    throw error
  }
  const { ino, mtimeNs } = lstatSync(path, { bigint: true })
  return [{ file, path, isSame: ino === file.inode && mtimeNs === file.modifiedNs }]
}

/** What a kill leaves under such a name no row knows: the next prune removes it. */
export function asideName(): string {
  return `pruned-${randomBytes(8).toString('hex')}`
}
