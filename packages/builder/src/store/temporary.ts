import { mkdirSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { closeFd, localPath, openRoot, removeTree } from '@ts-oci/runtime'
import { onDisk } from '../base/disk-errors.ts'
import { passingName } from '../base/passing-name.ts'
import { lockAndProve, tryLockFile, type HeldLock } from './lock-files.ts'
import type { StorePaths } from './paths.ts'
import { restoreAside } from './prune-files.ts'
import { rootsThatEnd } from './step-journals.ts'
import type { TemporaryDirectory } from './types.ts'

/** Removes a directory tree whose files belong to foreign owners (rootless: inside the executor). */
export type RemoveTree = (path: string) => Promise<void>

/** Names below `tmp/` that die with this process: each begins with an owner whose lock file says whether it lives. */
export interface TemporaryNames {
  /** A path that nobody uses; nothing is created. */
  next(prefix: string): string
  /** `directory`: where, if not in `tmp/`. */
  createDirectory(prefix: string, directory?: string): TemporaryDirectory
  close(): void
}

/** The owner's lock is taken at the first name: a build that is all cached writes nothing. */
export function createTemporaryNames(paths: StorePaths, remove: RemoveTree): TemporaryNames {
  let owner: { readonly id: string; readonly lock: HeldLock } | undefined
  let count = 0

  function next(prefix: string, directory = paths.tmp): string {
    if (owner === undefined) {
      const id = `${process.pid}-${passingName()}`
      owner = { id, lock: lockAndProve(paths.root, ownerLockPath(paths, id)) }
    }
    return join(directory, `${owner.id}.${++count}.${prefix.replace(/[^A-Za-z0-9_-]/g, '_').slice(0, 40)}`)
  }

  return {
    next: (prefix) => next(prefix),
    createDirectory(prefix, directory) {
      const path = next(prefix, directory)
      onDisk(paths.root, () => mkdirSync(localPath(path), { recursive: true, mode: 0o700 }))
      return { path, [Symbol.asyncDispose]: () => remove(path) }
    },
    close() {
      owner?.lock.release()
      owner = undefined
    },
  }
}

function ownerLockPath(paths: StorePaths, id: string): string {
  return `${paths.run}/owner-${id}.lock`
}

/**
 * Removes what processes that died had below `tmp/`; `isCrashed` when there was anything, `stuck` what belongs to
 * foreign owners.
 */
export function sweepTemporary(paths: StorePaths): { readonly isCrashed: boolean; readonly stuck: readonly string[] } {
  const dead = new Map<string, boolean>()
  const stuck: string[] = []
  const names = readdirSync(paths.tmp).filter((name) =>
    isDead(paths, name.slice(0, Math.max(0, name.indexOf('.'))), dead),
  )
  const busy = names.length === 0 ? [] : rootsThatEnd(paths, names)
  for (const name of names) {
    const path = join(paths.tmp, name)
    // A step of it still ends: the next who comes by removes it.
    if (busy.includes(name)) continue
    restoreAside(paths, path)
    if (!tryRemoveTree(path)) stuck.push(path)
  }
  sweepLocks(paths)
  return { isCrashed: [...dead.values()].includes(true), stuck }
}

/** The same of another directory, where there is neither a journal nor a prune's mark. */
export function sweepUnfinished(paths: StorePaths, directory: string): void {
  const dead = new Map<string, boolean>()
  for (const name of readdirSync(localPath(directory)))
    if (isDead(paths, name.slice(0, Math.max(0, name.indexOf('.'))), dead)) tryRemoveTree(join(directory, name))
}

/** Lock files outlive a kill, their locks do not. The one of the store's users stays: it is taken by each. */
function sweepLocks(paths: StorePaths): void {
  for (const name of readdirSync(paths.run)) {
    if (name.endsWith('.lock') && name !== 'use.lock') tryLockFile(join(paths.run, name), false)?.release()
  }
}

function isDead(paths: StorePaths, owner: string, known: Map<string, boolean>): boolean {
  const answer = known.get(owner)
  if (answer !== undefined) return answer
  const path = ownerLockPath(paths, owner)
  const hasLock = /^\d+-[0-9a-f]+$/.test(owner) && statSync(path, { throwIfNoEntry: false }) !== undefined
  const lock = hasLock ? tryLockFile(path, false) : undefined
  lock?.release()
  const isDeadOwner = !hasLock || lock !== undefined
  known.set(owner, isDeadOwner)
  return isDeadOwner
}

/** Removes a tree by descriptors, following nothing; false when its owner is another. */
export function tryRemoveTree(path: string): boolean {
  const slash = path.lastIndexOf('/')
  const parent = openRoot(path.slice(0, slash))
  try {
    removeTree(parent, Buffer.from(path.slice(slash + 1)).toString('latin1'))
    return true
  } catch {
    return false
  } finally {
    closeFd(parent)
  }
}
