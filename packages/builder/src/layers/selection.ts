import { randomBytes } from 'node:crypto'
import type { LayerEntry } from '../view/types.ts'
import type { FormsState } from './conversion.ts'
import type { LayerFacts, LayerHandle } from './types.ts'

/** A layer that only exists as entries. */
export function fromSelection(state: FormsState, entries: readonly LayerEntry[], facts: LayerFacts): LayerHandle {
  const { createdMs, description } = facts
  const layer = state.handleOf({ id: `l-${randomBytes(16).toString('hex')}`, createdMs, description })
  state.selections.set(layer.id, entries)
  return layer
}
