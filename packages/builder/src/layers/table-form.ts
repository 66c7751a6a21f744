import type { LayerTable } from '../view/types.ts'
import { findTable } from './at-hand.ts'
import { ensureForm } from './resolver.ts'
import type { FormsState } from './forms-state.ts'
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
