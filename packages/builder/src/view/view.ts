import type { ByteString } from '../base/byte-string.ts'
import { cleanPath } from './paths.ts'
import { resolvePath } from './resolve.ts'
import { applyLayer, editTree, emptyTree, nodeAt, sortedChildren, walkNodes, type TreeNode } from './tree.ts'
import type { LayerTable, View, ViewEntry } from './types.ts'

// Not a field of the view: how a merged tree is kept is this room's own affair, and anybody may write a view of another kind.
const treeOfView = new WeakMap<View, TreeNode>()

/** Trees of chains by their tables, bottom first; a table that its layer has given up takes its trees with it. */
interface ChainNode {
  readonly root: TreeNode
  readonly next: WeakMap<LayerTable, ChainNode>
}

/**
 * The merged, read-only file system of a chain of layers, bottom first: what an overlay mount of the same layers
 * shows. Throws OCI_LAYER_INVALID for a hard link to nothing.
 */
export function createChainView(tables: readonly LayerTable[]): View {
  return createChainViews()(tables)
}

/** As `createChainView`, for many chains: one of a layer more starts from what is known of it. */
export function createChainViews(): (tables: readonly LayerTable[]) => View {
  const scratch: ChainNode = { root: emptyTree(), next: new WeakMap() }
  return (tables) => {
    let chain = scratch
    for (const table of tables) {
      let next = chain.next.get(table)
      if (next === undefined) {
        next = { root: applyLayer(chain.root, table.entries), next: new WeakMap() }
        chain.next.set(table, next)
      }
      chain = next
    }
    return viewOfTree(chain.root)
  }
}

/** The view of a merged tree. */
export function viewOfTree(root: TreeNode): View {
  const view: View = {
    entry: (path) => nodeAt(root, cleanPath(path))?.entry,
    lookup: (path, options) => resolvePath(root, path, options?.followLast ?? true).node?.entry,
    resolve: (path, options) => resolvePath(root, path, options?.followLast ?? true).path,
    children(path) {
      const node = nodeAt(root, cleanPath(path))
      return node === undefined ? [] : sortedChildren(node).map((child) => child.entry)
    },
    *walk(path) {
      const node = nodeAt(root, cleanPath(path))
      if (node !== undefined) for (const child of walkNodes(node)) yield child.entry
    },
  }
  treeOfView.set(view, root)
  return view
}

/** The tree behind a view; one that is not of ours (a build context) is read whole. */
export function treeOf(view: View): TreeNode {
  const known = treeOfView.get(view)
  if (known !== undefined) return known
  const edit = editTree(emptyTree())
  const root: ViewEntry | undefined = view.entry('')
  if (root !== undefined) edit.put(root)
  for (const entry of view.walk('' satisfies ByteString)) edit.put(entry)
  const tree = edit.snapshot()
  treeOfView.set(view, tree)
  return tree
}
