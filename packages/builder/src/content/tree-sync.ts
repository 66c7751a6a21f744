import type { Metadata } from './metadata.ts'
import { json, text } from './metadata.ts'
import type { TreeForm } from './types.ts'

/** A tree whose row says that it counts in this boot only. */
interface UnsyncedTree {
  readonly id: string
  /** As it stands in the row: a sync speaks for what it found. */
  readonly text: string
  readonly tree: TreeForm
}

/** The trees that wait for a sync, of this build and of those that were killed before they came to it. */
export function unsyncedTrees(metadata: Metadata, bootId: string): readonly UnsyncedTree[] {
  return metadata
    .all(`SELECT id, tree FROM layers WHERE tree LIKE '%"synced":false%'`)
    .map((row) => ({ id: text(row, 'id'), text: text(row, 'tree'), tree: json<TreeForm>(row, 'tree') }))
    .filter(({ tree }) => tree.bootId === bootId)
}

/** After a sync that began when they had been read. */
export function markTreesSynced(metadata: Metadata, trees: readonly UnsyncedTree[]): void {
  if (trees.length === 0) return
  metadata.transaction(() => {
    for (const { id, text: before, tree } of trees)
      metadata.run(
        'UPDATE layers SET tree = ? WHERE id = ? AND tree = ?',
        JSON.stringify({ ...tree, synced: true }),
        id,
        before,
      )
  })
}
