import { expect, test } from '@jest/globals'
import { garbageRules, isWhole } from './prune-rules.ts'
import { parseSpace } from './spaces.ts'

const GIB = 2 ** 30

// By hand from DefaultGCPolicy and DiskSpace.AsBytes of BuildKit (cmd/buildkitd/config/gcpolicy.go), and as
// `docker buildx inspect` shows them of a disk of 39 GB: reserved 3.725GiB, max 29.8GiB, free 7.451GiB.
test.each([
  [39 * 10 ** 9, { reservedBytes: 4e9, maxUsedBytes: 30e9, minFreeBytes: 8e9 }],
  [1000 * GIB, { reservedBytes: 10e9, maxUsedBytes: 100e9, minFreeBytes: 201e9 }],
  [10 * GIB, { reservedBytes: 2e9, maxUsedBytes: 9e9, minFreeBytes: 3e9 }],
  [0, { reservedBytes: 2e9, maxUsedBytes: 2e9, minFreeBytes: 2e9 }],
])('a disk of %d bytes has the bounds of BuildKit', (total, bounds) => {
  const rules = garbageRules({ isEnabled: true }, total)
  expect(rules.map(({ all, keepDurationMs }) => [all, keepDurationMs / 3_600_000])).toEqual([
    [false, 48],
    [false, 1440],
    [false, 0],
    [true, 0],
  ])
  expect(rules[0]).toMatchObject({ maxUsedBytes: 512e6, reservedBytes: 0, minFreeBytes: 0 })
  for (const rule of rules.slice(1)) expect(rule).toMatchObject(bounds)
})

test('one bound that is given takes the place of all three', () => {
  const [, , rule] = garbageRules({ isEnabled: true, maxUsed: '50%' }, 100 * GIB)
  expect(rule).toMatchObject({ reservedBytes: 0, maxUsedBytes: 51e9, minFreeBytes: 0 })
})

test.each([
  ['10GB', 10 * GIB],
  ['512mb', 512 * 2 ** 20],
  ['1.5g', 1.5 * GIB],
  ['100', 100],
  ['20%', '20%'],
  ['7 KiB', 7 * 1024],
  ['x', undefined],
  ['-1', undefined],
  ['', undefined],
  ['5000%', undefined],
])('the size %j is %p', (text, bound) => expect(parseSpace(text)).toBe(bound))

test('only a prune of all without any bound forgets what builds found out', () => {
  expect(isWhole({ all: true, filters: [] })).toBe(true)
  for (const more of [{ filters: ['shared'] }, { olderThanMs: 5 }, { maxUsedBytes: 5 }, { all: false }])
    expect(isWhole({ all: true, ...more })).toBe(false)
})
