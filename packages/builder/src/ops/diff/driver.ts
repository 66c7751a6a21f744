import { BuilderError } from '../../base/errors.ts'
import { layersOf } from '../context-layer.ts'
import type { LayerFactory } from '../../layers/types.ts'
import type { OpDriver } from '../../solver/types.ts'

/** What one chain adds to another: the layers above it. */
export function createDiffDriver({ forms }: { readonly forms: LayerFactory }): OpDriver {
  return {
    recordType: 'regular',
    handles: (vertex) => vertex.op.kind === 'diff',
    cacheMap: (vertex) => ({ payload: vertex.op, selectors: vertex.inputs.map(() => undefined) }),
    inputUse: (vertex) => vertex.inputs.map(() => 'through'),
    run: async (vertex, inputs) => {
      if (vertex.op.kind !== 'diff') throw new Error('not a diff')
      const lower = vertex.op.lower < 0 ? [] : layersOf(forms, inputs[vertex.op.lower]!)
      const upper = vertex.op.upper < 0 ? [] : layersOf(forms, inputs[vertex.op.upper]!)
      if (!lower.every((layer, index) => upper[index]?.id === layer.id)) {
        throw new BuilderError(
          'OCI_STEP_UNSUPPORTED',
          'a diff of two file systems of which neither is built on the other is not supported yet',
        )
      }
      return [{ kind: 'layers', layers: upper.slice(lower.length) }]
    },
  }
}
