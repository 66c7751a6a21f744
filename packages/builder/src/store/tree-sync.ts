import { json, text, type Metadata, type Row } from './metadata.ts'
import type { TreeForm } from './types.ts'

/** A row of which a tree counts in this boot only. */
interface UnsyncedTrees {
  readonly id: string
  /** As it stands in the row: a sync speaks for what it found. */
  readonly text: string
  /** As it will stand there. */
  readonly synced: readonly TreeForm[]
}

/** The trees of a row. Before there were several, a row had one, in the place of root's. */
export function treesOf(row: Row): readonly TreeForm[] {
  if (row['tree'] === null) return []
  const trees = json<TreeForm | readonly TreeForm[]>(row, 'tree')
  return 'owners' in trees ? [trees].filter(({ owners }) => owners === 'identity') : trees
}

/** The trees that wait for a sync, of this build and of those that were killed before they came to it. */
export function unsyncedTrees(metadata: Metadata, bootId: string): readonly UnsyncedTrees[] {
  return metadata
    .all(`SELECT id, tree FROM layers WHERE tree LIKE '%"synced":false%'`)
    .filter((row) => treesOf(row).some((tree) => !tree.synced && tree.bootId === bootId))
    .map((row) => ({
      id: text(row, 'id'),
      text: text(row, 'tree'),
      synced: treesOf(row).map((tree) => (tree.bootId === bootId ? { ...tree, synced: true } : tree)),
    }))
}

/** After a sync that began when they had been read. */
export function markTreesSynced(metadata: Metadata, trees: readonly UnsyncedTrees[]): void {
  if (trees.length === 0) return
  metadata.transaction(() => {
    for (const { id, text: before, synced } of trees)
      metadata.run('UPDATE layers SET tree = ? WHERE id = ? AND tree = ?', JSON.stringify(synced), id, before)
  })
}
