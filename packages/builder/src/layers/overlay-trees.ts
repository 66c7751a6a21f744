import { digestHex, digestOf } from '../oci/digest.ts'
import type { LayerTable, View } from '../view/types.ts'
import type { FormsState } from './conversion.ts'
import { findTree } from './at-hand.ts'
import { tableOf, treeOf } from './form-of.ts'
import type { LayerHandle } from './types.ts'

/**
 * The directories that an overlay stacks for a chain, bottom first. A pulled layer may hold `tmp/x` and not list `tmp`:
 * where that makes its tree look otherwise than the view does, a tree of such directories lies on top of the base.
 */
export async function overlayTrees(
  state: FormsState,
  chain: readonly LayerHandle[],
  viewOf: (chain: readonly LayerHandle[]) => Promise<View>,
): Promise<readonly string[]> {
  const trees: string[] = []
  for (const layer of chain) trees.push(state.wholeTrees.get(layer.id) ?? (await wholeTree(state, layer)))
  // Layers of ours list every parent.
  const firstOwn = chain.findIndex((layer) => !layer.isForeign)
  const base = firstOwn < 0 ? chain : chain.slice(0, firstOwn)
  // What a layer leaves out must be listed by another one below it.
  if (base.length < 2) return onlyTopmost(trees)
  const id = `implied-${digestHex(digestOf(base.map((layer) => layer.id).join('/'))).slice(0, 32)}`
  const implied = await state.once(id, async () => {
    const tables: LayerTable[] = await Promise.all(base.map((layer) => tableOf(state, layer)))
    const { impliedDirectories } = await import('../view/implied.ts')
    const entries = impliedDirectories(tables, await viewOf(base))
    if (entries.length === 0) return undefined
    state.selections.set(id, entries)
    return treeOf(state, state.handleOf({ id, createdMs: 0, description: 'directories that a base does not list' }))
  })
  return onlyTopmost(implied === undefined ? trees : trees.toSpliced(base.length, 0, implied))
}

async function wholeTree(state: FormsState, layer: LayerHandle): Promise<string> {
  const directory = await treeOf(state, layer)
  state.wholeTrees.set(layer.id, directory)
  return directory
}

/**
 * Forgets the trees that were found whole and are not any more; whether there was one. Nobody who keeps to the leases takes one
 * away, so it is asked only when a mount found none.
 */
export async function forgetLostTrees(state: FormsState): Promise<boolean> {
  let isLost = false
  for (const id of state.wholeTrees.keys()) {
    if ((await findTree(state, state.store.layers.get(id))) !== undefined) continue
    state.wholeTrees.delete(id)
    isLost = true
  }
  return isLost
}

/**
 * The kernel takes no directory twice. Of a layer that a chain holds several times (two empty ones are enough) the topmost
 * stands for all: whatever it adds, replaces or removes at a path, it does there once more, so nothing of its former turns
 * can be seen, whichever whiteouts lie between.
 */
function onlyTopmost(trees: readonly string[]): readonly string[] {
  return trees.filter((tree, index) => trees.lastIndexOf(tree) === index)
}
