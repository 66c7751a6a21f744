import { lstatSync } from 'node:fs'
import { localPath } from '@ts-oci/runtime'
import type { TreeForm, TreeWitness } from '../store/types.ts'
import type { LayerEntry } from '../view/types.ts'

/** Some entries are below directories that only their owner may enter. */
const MAX_TRIES = 16

/**
 * What later tells whether a finished tree still has its owners: container engines can give all files of a volume to one
 * user or group (podman's `:U`, a pod's `fsGroup`), and then each is another one. The tree itself, and an entry that
 * is somebody else's than root's; where there is none, nobody can be taken for another.
 */
export function witnessesOf(directory: string, entries: readonly LayerEntry[]): readonly TreeWitness[] {
  const root = look(directory, '')
  if (root === undefined) return []
  let tries = 0
  for (const { path, type, uid, gid } of entries) {
    if (type === 'whiteout' || path === '' || (uid === 0 && gid === 0)) continue
    const witness = look(directory, path)
    if (witness !== undefined) return [root, witness]
    if (++tries === MAX_TRIES) break
  }
  return [root]
}

/** The directory is there and is as it was made; one of an older row counts where it is there. */
export function isIntact(directory: string, { witnesses }: TreeForm): boolean {
  // Not a link: what an archive unpacked over the store may point anywhere.
  if (witnesses === undefined || witnesses.length === 0)
    return lstatSync(localPath(directory), { throwIfNoEntry: false })?.isDirectory() === true
  return witnesses.every((witness) => {
    const now = look(directory, witness.path)
    return now?.uid === witness.uid && now.gid === witness.gid && now.mode === witness.mode
  })
}

function look(directory: string, path: string): TreeWitness | undefined {
  try {
    // A path is bytes.
    const top = localPath(directory)
    const place = path === '' ? top : Buffer.concat([Buffer.from(`${top}/`), Buffer.from(path, 'latin1')])
    const { uid, gid, mode } = lstatSync(place)
    return { path, uid, gid, mode }
  } catch {
    return undefined
  }
}
