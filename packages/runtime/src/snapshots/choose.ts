import { RuntimeError } from '../errors.ts'
import type { Refusal } from '../isolation/types.ts'
import { snapshots, type SnapshotName } from './list.ts'
import type { OpenedSnapshots, SnapshotPlace } from './types.ts'

export interface SnapshotChoice extends OpenedSnapshots {
  readonly name: SnapshotName
  /** What would have been taken before it, and why it was not. */
  readonly passedOver: readonly (Refusal & { readonly name: SnapshotName })[]
}

/**
 * Takes the first kind of the list that works at a place, or the one that is named.
 * Throws OCI_RUNTIME_UNSUPPORTED, with reason and remedy, for a named one that does not work here, and for an unknown name.
 */
export async function chooseSnapshots(wish: 'auto' | SnapshotName, place: SnapshotPlace): Promise<SnapshotChoice> {
  const passedOver: (Refusal & { readonly name: SnapshotName })[] = []
  for (const { name, load } of snapshots) {
    if (wish !== 'auto' && name !== wish) continue
    const opened = await (await load()).open(place)
    if (!('reason' in opened)) return { name, passedOver, ...opened }
    passedOver.push({ name, ...opened })
  }
  const [refusal] = passedOver
  if (refusal === undefined)
    throw new RuntimeError('OCI_RUNTIME_UNSUPPORTED', `unknown kind of snapshots ${wish}`, {
      hint: `known: auto, ${snapshots.map(({ name }) => name).join(', ')}`,
    })
  throw new RuntimeError('OCI_RUNTIME_UNSUPPORTED', `snapshots ${refusal.name}: ${refusal.reason}`, {
    hint: refusal.remedy,
  })
}
