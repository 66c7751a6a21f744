import { expect, test } from '@jest/globals'
import { bytesToKeep, choosePruned, type PruneRule, type UsageNode } from './prune-choice.ts'

const HOUR = 3_600_000
const NOW = 1_000 * HOUR

function node(id: string, more: Partial<UsageNode> = {}): UsageNode {
  return {
    id,
    parents: [],
    below: [],
    description: id,
    type: 'regular',
    isMutable: false,
    isInUse: false,
    isShared: false,
    sizeBytes: 100,
    createdMs: 0,
    usedMs: NOW - 10 * HOUR,
    usageCount: 1,
    ...more,
  }
}

const rule = (more: Partial<PruneRule> = {}): PruneRule => ({
  all: false,
  fits: () => true,
  keepDurationMs: 0,
  reservedBytes: 0,
  maxUsedBytes: 0,
  minFreeBytes: 0,
  ...more,
})

const chosen = (nodes: readonly UsageNode[], rules: readonly PruneRule[], freeBytes = 0): readonly string[] =>
  choosePruned(nodes, rules, { nowMs: NOW, freeBytes }).map(({ id }) => id)

test('without a bound all that fits goes, users before what they stand on', () => {
  expect(chosen([node('base'), node('step', { below: ['base'] })], [rule()])).toEqual(['step', 'base'])
  expect(chosen([node('a'), node('b')], [rule({ fits: ({ id }) => id === 'b' })])).toEqual(['b'])
})

test('what something stands on that stays does, too', () => {
  const nodes = [node('base'), node('step', { below: ['base'], isInUse: true })]
  expect(chosen(nodes, [rule()])).toEqual([])
  expect(
    chosen([node('base'), node('step', { below: ['base'] })], [rule({ fits: ({ id }) => id === 'base' })]),
  ).toEqual([])
})

test('what images share goes with `all` alone, as internal records do', () => {
  const nodes = [
    node('shared', { isShared: true }),
    node('internal', { type: 'internal' }),
    node('frontend', { type: 'frontend' }),
  ]
  expect(chosen(nodes, [rule()])).toEqual([])
  expect(chosen(nodes, [rule({ all: true })])).toEqual(['shared', 'internal', 'frontend'])
})

test('what was used within the time stays, what was never used does not', () => {
  const nodes = [
    node('old', { usedMs: NOW - 49 * HOUR }),
    node('new', { usedMs: NOW - 47 * HOUR }),
    node('never', { usedMs: undefined }),
  ]
  expect(chosen(nodes, [rule({ keepDurationMs: 48 * HOUR })])).toEqual(['old', 'never'])
})

test('below a bound the least recently used goes first, until less than the bound is left', () => {
  const nodes = [1, 2, 3, 4, 5].map((hours) => node(`h${hours}`, { usedMs: NOW - hours * HOUR }))
  // BuildKit goes on while the total is not below the bound: 500, 400, 300 and then 200.
  expect(chosen(nodes, [rule({ maxUsedBytes: 300 })])).toEqual(['h5', 'h4', 'h3'])
  expect(chosen(nodes, [rule({ maxUsedBytes: 501 })])).toEqual([])
})

test('the number of uses weighs as much as the time of the last one', () => {
  // Ranks: a 1/3 + 3/3, b 2/3 + 1/3, c 3/3 + 2/3.
  const nodes = [
    node('a', { usedMs: 1, usageCount: 9 }),
    node('b', { usedMs: 2, usageCount: 1 }),
    node('c', { usedMs: 3, usageCount: 2 }),
  ]
  expect(chosen(nodes, [rule({ maxUsedBytes: 250 })])).toEqual(['b'])
  expect(chosen(nodes, [rule({ maxUsedBytes: 150 })])).toEqual(['b', 'a'])
})

test('what images share counts for no bound, and frees nothing', () => {
  const nodes = [node('shared', { isShared: true, sizeBytes: 900, usedMs: 1 }), node('own', { usedMs: 2 })]
  expect(chosen(nodes, [rule({ all: true, maxUsedBytes: 200 })])).toEqual([])
})

test('rules follow one another, each with what the one before left', () => {
  const nodes = [node('mount', { type: 'exec.cachemount', usedMs: NOW - 50 * HOUR }), node('step')]
  const cheap = rule({ fits: ({ type }) => type === 'exec.cachemount', keepDurationMs: 48 * HOUR, maxUsedBytes: 150 })
  expect(chosen(nodes, [cheap, rule({ maxUsedBytes: 150 })])).toEqual(['mount'])
})

test('layers that stand on one another in a circle go as well', () => {
  expect(chosen([node('a', { below: ['b'] }), node('b', { below: ['a'] })], [rule()]).toSorted()).toEqual(['a', 'b'])
})

test.each([
  // [max, reserved, minFree, used, free] → what may stay; by hand from calculateKeepBytes of BuildKit's cache/manager.go
  [[0, 0, 0, 500, 10], 0],
  [[300, 0, 0, 500, 10], 300],
  [[0, 200, 0, 500, 10], 200],
  [[300, 400, 0, 500, 10], 400],
  [[0, 0, 100, 500, 10], 410],
  [[300, 0, 100, 500, 10], 300],
  [[450, 0, 100, 500, 10], 410],
  [[0, 450, 100, 500, 10], 450],
  [[0, 0, 100, 500, 200], 500],
  [[300, 0, 100, 500, 200], 300],
  [[0, 0, 1000, 500, 10], 0],
])('of %j bytes %d may stay', ([maxUsedBytes = 0, reservedBytes = 0, minFreeBytes = 0, used = 0, free = 0], kept) => {
  expect(bytesToKeep({ maxUsedBytes, reservedBytes, minFreeBytes }, used, free)).toBe(kept)
})

test('ten thousand records are chosen from within seconds', () => {
  const nodes = Array.from({ length: 10_000 }, (_, at) =>
    node(`n${at}`, {
      usedMs: at,
      below: at % 20 === 0 ? [] : Array.from({ length: at % 20 }, (_one, k) => `n${at - 1 - k}`),
    }),
  )
  const startMs = performance.now()
  expect(chosen(nodes, [rule({ maxUsedBytes: 500_000 })])).toHaveLength(5001)
  expect(performance.now() - startMs).toBeLessThan(10_000)
})
