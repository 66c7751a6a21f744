import { layersOf } from '../context-layer.ts'
import type { LayerFactory } from '../../layers/types.ts'
import type { OpDriver } from '../../solver/types.ts'

/** Stacks chains of layers on each other; no byte is touched. */
export function createMergeDriver({ forms }: { readonly forms: LayerFactory }): OpDriver {
  return {
    recordType: 'regular',
    handles: (vertex) => vertex.op.kind === 'merge',
    cacheMap: (vertex) => ({ payload: { kind: 'merge' }, selectors: vertex.inputs.map(() => undefined) }),
    inputUse: (vertex) => vertex.inputs.map(() => 'through'),
    run: async (_vertex, inputs) => [{ kind: 'layers', layers: inputs.flatMap((input) => layersOf(forms, input)) }],
  }
}
