import { expect, test } from '@jest/globals'
import type { LayerHandle } from '../layers/types.ts'
import type { Result } from './types.ts'
import { createOutcome } from './outcome.ts'

function chain(...ids: readonly string[]): readonly Result[] {
  const layers = ids.map((id): LayerHandle => ({
    id,
    createdMs: 0,
    description: id,
    progressVertex: undefined,
    isForeign: false,
  }))
  return [{ kind: 'layers', layers }]
}

test('who worked on results that were made anew meanwhile is told so, whichever of their layers it misses', async () => {
  const outcome = createOutcome({
    keys: ['k'],
    cached: true,
    shared: undefined,
    inputs: [],
    results: chain('base', 'old'),
    find: () => undefined,
    make: async () => chain('base', 'new'),
  })
  expect(outcome.lose('base')).toBe(true)
  expect(await outcome.load()).toEqual(chain('base', 'new'))
  expect(outcome.lose('old')).toBe(true)
  expect(outcome.isAtHand()).toBe(true)
  expect(outcome.lose('of somebody else')).toBe(false)
})
