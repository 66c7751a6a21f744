import type { Executor, ExecutorOptions, SnapshotChoice, SnapshotName } from '@ts-oci/runtime'
import { bootId } from '../base/boot-id.ts'
import { BuilderError, type TsOciError } from '../base/errors.ts'
import { storePaths } from '../store/paths.ts'
import type { FormsState } from './conversion.ts'

/** What is asked for. */
export interface SnapshotWish {
  readonly snapshots?: 'auto' | SnapshotName | undefined
  readonly isolation?: ExecutorOptions['isolation'] | undefined
}

/** What was found out for an executor: its isolation and its disk stay the same. */
const known = new WeakMap<Executor, Taken>()

/** The kind that steps get, and why not the ones before it. */
interface Taken extends Pick<SnapshotChoice, 'name' | 'passedOver'> {
  readonly isNamed: boolean
}

/**
 * Chooses the kind of snapshots for an executor that is about to be started, on the disk of a store; an image that comes with it
 * is open. @throws OCI_RUNTIME_UNSUPPORTED: a named one does not work here
 */
export async function snapshotsFor(root: string, wish: SnapshotWish, signal: AbortSignal): Promise<SnapshotChoice> {
  const { chooseSnapshots } = await import('@ts-oci/runtime')
  return chooseSnapshots(wish.snapshots ?? 'auto', {
    directory: root,
    imageDirectory: storePaths(root).image,
    bootId: bootId(),
    isolation: wish.isolation ?? 'auto',
    signal,
  })
}

/**
 * Says which kind an executor was started for. Where its isolation has no use for that working trees are left.
 * @throws OCI_STEP_UNSUPPORTED: another one was named
 */
export function noteSnapshots(executor: Executor, choice: SnapshotChoice, wish: SnapshotWish): void {
  const { name, passedOver } = choice
  const canStack = name === 'tree' || (executor.roots === 'any' && (name !== 'loop' || executor.image !== undefined))
  const isNamed = wish.snapshots !== undefined && wish.snapshots !== 'auto'
  if (isNamed && !canStack)
    throw new BuilderError(
      'OCI_STEP_UNSUPPORTED',
      `isolation ${executor.isolation} has no snapshots of the kind ${name}`,
      {
        hint: '--snapshots=tree works with every isolation',
      },
    )
  const useless = { name, reason: `isolation ${executor.isolation} has no use for it`, remedy: '--isolation=namespace' }
  // An isolation that mounts nothing has no choice, whatever the disk.
  const others = executor.roots === 'directory' ? [] : [...passedOver, useless]
  known.set(executor, canStack ? { name, passedOver, isNamed } : { name: 'tree', passedOver: others, isNamed })
}

/** What steps of an executor get; undefined for one that was not started for a build. */
export function snapshotsOf(executor: Executor): Pick<SnapshotChoice, 'name' | 'passedOver'> | undefined {
  return known.get(executor)
}

/**
 * Whether steps of this build get an overlay over the layers' trees; else their root is a working tree (`working-trees.ts`).
 * It was chosen before the executor was started; what only the mount itself tells is remembered by {@link refuseOverlay}.
 */
export async function usesOverlay({ executor }: Pick<FormsState, 'executor'>): Promise<boolean> {
  const running = await executor()
  const taken = known.get(running)
  return taken === undefined ? running.roots === 'any' : taken.name !== 'tree'
}

/** From now on no step of this executor is given an overlay. False: it was asked for by name. */
export function refuseOverlay(executor: Executor): boolean {
  const { name = 'overlay', passedOver = [], isNamed = false } = known.get(executor) ?? {}
  if (isNamed) return false
  const refused = {
    name,
    reason: 'the kernel mounts no overlay on the disk of the store',
    remedy: 'put the store on another file system (ext4, xfs, btrfs, tmpfs): --store or TSBUILD_HOME',
  }
  known.set(executor, { name: 'tree', passedOver: [...passedOver, refused], isNamed })
  return true
}

/** A step that did not start because the store's disk, or the kernel, takes no overlay with an upper directory there. */
export function isOverlayRefusal({ details: { operation, errno } }: TsOciError): boolean {
  if (!/\bmount overlay\b/.test(String(operation))) return false
  return ['EINVAL', 'EPERM', 'EACCES', 'ENODEV', 'ENOSYS', 'EOPNOTSUPP'].includes(String(errno))
}
