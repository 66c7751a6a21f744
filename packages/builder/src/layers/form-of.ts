import type { LayerTable } from '../view/types.ts'
import { findTable, findTar, findTree, type TarForm } from './at-hand.ts'
import { ensureForm } from './resolver.ts'
import type { FormsState } from './conversion.ts'
import { missingForm } from './missing-form.ts'
import { fromStored } from './stored-table.ts'
import type { LayerHandle } from './types.ts'

/** The table of a layer: of a selection its entries, else the row's; made from the blob where there is none yet. */
export function tableOf(state: FormsState, layer: LayerHandle): Promise<LayerTable> {
  return state.once(`table ${layer.id}`, async () => {
    const selection = state.selections.get(layer.id)
    if (selection) return { entries: selection }
    const known = findTable(state, layer)
    if (known) return fromStored(known, layer.id)
    await ensureForm(state, layer, 'table')
    const made = findTable(state, layer)
    if (made === undefined) throw missingForm(layer.id, `layer ${layer.id} has no table`)
    return fromStored(made, layer.id)
  })
}

/** A layer as a plain tar in the store's blobs. */
export async function tarOf(state: FormsState, layer: LayerHandle): Promise<TarForm> {
  await ensureForm(state, layer, 'tar')
  const tar = findTar(state, layer)
  if (tar === undefined) throw missingForm(layer.id, `the tar of layer ${layer.id} is not in the store`)
  return tar
}

/** A layer as a directory in overlay form, for the executor of this build. */
export async function treeOf(state: FormsState, layer: LayerHandle): Promise<string> {
  const known = await findTree(state, state.record(layer))
  if (known !== undefined) return known
  await ensureForm(state, layer, 'tree')
  const directory = await findTree(state, state.record(layer))
  if (directory === undefined) throw missingForm(layer.id, `the tree of layer ${layer.id} is not in the store`)
  return directory
}
