import type { SharedKey } from '../cache/buildkit/types.ts'
import type { Result } from './types.ts'
import type { VertexOutcome } from './vertex-keys.ts'

/** How an outcome comes by its results. */
export interface OutcomeSource {
  readonly keys: readonly string[]
  readonly cached: boolean
  readonly shared: SharedKey | undefined
  readonly inputs: readonly VertexOutcome[]
  /** What the vertex gave when it ran just now. */
  readonly results?: readonly Result[]
  /** What is in the store; never runs anything. */
  readonly find: () => readonly Result[] | undefined
  readonly make: () => Promise<readonly Result[]>
}

/** Results that are found or made when they are first asked for, and again when a layer of theirs is lost. A failure is not kept. */
export function createOutcome(source: OutcomeSource): VertexOutcome {
  const { keys, cached, shared, inputs, find, make } = source
  let known = source.results
  const lost = new Set<string>()
  let pending: Promise<readonly Result[]> | undefined
  const outcome: VertexOutcome = {
    keys,
    cached,
    shared,
    load: async () => {
      known ??= pending === undefined ? find() : undefined
      if (known !== undefined) return known
      pending ??= make()
        .then((made) => (known = made))
        .finally(() => (pending = undefined))
      return pending
    },
    isAtHand: () => {
      known ??= pending === undefined ? find() : undefined
      return known !== undefined
    },
    lose: (layerId, answers = new Map()) => {
      const answered = answers.get(outcome)
      if (answered !== undefined) return answered
      const isLost = inputs.map((input) => input.lose(layerId, answers)).includes(true) || holds(known, layerId)
      if (isLost) {
        // All of them: who still works on these results may be the next to miss another layer.
        for (const id of layersOf(known)) lost.add(id)
        lost.add(layerId)
        known = undefined
      }
      // Another user of it may have found that out before: it is being made again, or is by now.
      const answer = isLost || lost.has(layerId)
      answers.set(outcome, answer)
      return answer
    },
  }
  return outcome
}

function holds(results: readonly Result[] | undefined, layerId: string): boolean {
  return layersOf(results).includes(layerId)
}

function layersOf(results: readonly Result[] = []): readonly string[] {
  return results.flatMap((result) => (result.kind === 'layers' ? result.layers.map((layer) => layer.id) : []))
}
