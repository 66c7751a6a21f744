import type { OpDriver, Result } from '../types.ts'
import type { LayerHandle } from '../../forms/types.ts'

/** Stacks chains of layers on each other; no byte is touched. */
export function createMergeDriver(): OpDriver {
  return {
    recordType: 'regular',
    handles: (vertex) => vertex.op.kind === 'merge',
    cacheMap: (vertex) => ({ payload: { kind: 'merge' }, selectors: vertex.inputs.map(() => undefined) }),
    inputUse: (vertex) => vertex.inputs.map(() => 'through'),
    run: async (_vertex, inputs) => [{ kind: 'layers', layers: inputs.flatMap(layersOf) }],
  }
}

/** The layers of a result; a build context has none. */
export function layersOf(result: Result): readonly LayerHandle[] {
  if (result.kind !== 'layers') throw new Error('a build context is not a chain of layers')
  return result.layers
}
