import { statfsSync } from 'node:fs'
import type { Executor } from '@ts-oci/runtime'
import { isTsOciError } from '../base/errors.ts'
import type { FormsState } from './conversion.ts'

/** statfs(2): an overlay takes no upper directory on another one. */
const OVERLAYFS_MAGIC = 0x794c7630

/** What was found out for an executor: its isolation and its disk stay the same. */
const known = new WeakMap<Executor, boolean>()

/**
 * Whether steps of this build get an overlay over the layers' trees; else their root is a working tree (`working-trees.ts`).
 * The disk is asked once, by one call; what only the mount itself tells is remembered by {@link refuseOverlay}.
 */
export async function usesOverlay({ executor, store }: Pick<FormsState, 'executor' | 'store'>): Promise<boolean> {
  const running = await executor()
  let uses = known.get(running)
  if (uses === undefined) {
    uses = running.roots === 'any' && statfsSync(store.root).type !== OVERLAYFS_MAGIC
    known.set(running, uses)
  }
  return uses
}

/** From now on no step of this executor is given an overlay. */
export function refuseOverlay(executor: Executor): void {
  known.set(executor, false)
}

/** A step that did not start because the store's disk, or the kernel, takes no overlay with an upper directory there. */
export function isOverlayRefusal(error: unknown): boolean {
  if (!isTsOciError(error) || !error.code.startsWith('OCI_RUNTIME_')) return false
  const { operation, errno } = error.details
  if (!/\bmount overlay\b/.test(String(operation))) return false
  return ['EINVAL', 'EPERM', 'EACCES', 'ENODEV', 'ENOSYS', 'EOPNOTSUPP'].includes(String(errno))
}
