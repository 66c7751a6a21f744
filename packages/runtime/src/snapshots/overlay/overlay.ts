import { statfsSync } from 'node:fs'
import type { Refusal } from '../../isolation/types.ts'
import type { OpenedSnapshots, SnapshotPlace } from '../types.ts'

/** statfs(2): an overlay takes no upper directory on another one. */
const OVERLAYFS_MAGIC = 0x794c7630

/** What only the mount itself tells is found when a step starts. */
export async function open({ directory }: SnapshotPlace): Promise<OpenedSnapshots | Refusal> {
  if (statfsSync(directory).type !== OVERLAYFS_MAGIC) return {}
  return {
    reason: 'the disk of the store is an overlay itself, which takes no other one',
    remedy: 'put the store on a volume: --store or TSBUILD_HOME',
  }
}
