import { BuilderError } from '../errors.ts'
import type { LayerTable } from '../layer/types.ts'
import { ensureBlob, inflate } from './blob-form.ts'
import type { FormsState } from './forms-state.ts'
import { fromStored } from './stored-table.ts'
import type { LayerHandle } from './types.ts'

/** The table of a layer: of a selection its entries, else the row's; made from the blob where there is none yet. */
export function tableOf(state: FormsState, layer: LayerHandle): Promise<LayerTable> {
  const read = (): LayerTable | undefined => {
    const stored = state.store.layers.readTable(layer.id)
    return stored && fromStored(stored, layer.id)
  }
  return state.once(`table ${layer.id}`, async () => {
    const selection = state.selections.get(layer.id)
    if (selection) return { entries: selection }
    const known = read()
    if (known) return known
    await ensureBlob(state, layer)
    const fetched = read()
    if (fetched) return fetched
    await inflate(state, layer)
    const inflated = read()
    if (inflated === undefined) throw new BuilderError('OCI_BLOB_NOT_FOUND', `layer ${layer.id} has no table`)
    return inflated
  })
}
