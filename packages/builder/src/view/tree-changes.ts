import type { ByteString } from '../base/byte-string.ts'
import { sortedChildren, type TreeNode } from './tree.ts'
import type { View, ViewEntry } from './types.ts'
import { treeOf } from './view.ts'

/** What turns a directory that holds one view into one that holds another. */
export interface TreeChanges {
  /** Names that go first, with all that is below them. */
  readonly removed: readonly ByteString[]
  /** Entries to be made, or directories to get their attributes; a directory before its content. */
  readonly entries: readonly ViewEntry[]
}

/**
 * Unlike the difference that a layer holds, it carries every attribute, and each name of a file with several as a file of its
 * own: an overlay writes to one of them and leaves the others as they were.
 */
export function treeChanges(before: View, after: View): TreeChanges {
  const removed: ByteString[] = []
  const entries: ViewEntry[] = []

  function visit(below: TreeNode | undefined, above: TreeNode): void {
    for (const name of below?.children?.keys() ?? [])
      if (!above.children!.has(name)) removed.push(below!.children!.get(name)!.entry.path)
    for (const child of sortedChildren(above)) visitChild(below?.children?.get(nameOf(child)), child)
  }

  function visitChild(former: TreeNode | undefined, child: TreeNode): void {
    const isBoth = former?.children !== undefined && child.children !== undefined
    if (former === child || (former?.entry === child.entry && !isBoth)) return
    if (former !== undefined && !isBoth) removed.push(child.entry.path)
    entries.push(child.entry)
    if (child.children !== undefined) visit(isBoth ? former : undefined, child)
  }

  const [from, to] = [treeOf(before), treeOf(after)]
  if (from !== to) visit(from, to)
  return { removed, entries }
}

function nameOf({ entry }: TreeNode): ByteString {
  return entry.path.slice(entry.path.lastIndexOf('/') + 1)
}
