import { missingLayerOf } from '../layers/missing-form.ts'
import type { VertexOutcome } from './vertex-keys.ts'

/** How often layers may turn out to be gone until that is the error: each time another process took them away meanwhile. */
export const MAX_LOSSES = 8

/** Has the results that hold a missing layer made again; false when an error is another one, or nobody makes that layer. */
export function loseMissing(outcomes: readonly VertexOutcome[], error: unknown): boolean {
  const layerId = missingLayerOf(error)
  const answers = new Map<VertexOutcome, boolean>()
  return layerId !== undefined && outcomes.map((outcome) => outcome.lose(layerId, answers)).includes(true)
}

/** Does something with the results of outcomes, and again when a layer of theirs turns out to be gone. */
export async function whileMissing<T>(outcomes: readonly VertexOutcome[], work: () => Promise<T>): Promise<T> {
  for (let losses = 0; ; losses++) {
    try {
      return await work()
    } catch (error) {
      if (losses >= MAX_LOSSES || !loseMissing(outcomes, error)) throw error
    }
  }
}
