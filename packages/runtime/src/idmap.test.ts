import { expect, test } from '@jest/globals'
import { freeSubordinateRange, mappedIds, mapUser, subordinateRange } from './idmap.ts'
import type { IdMapping } from './types.ts'

const subordinate: IdMapping = {
  kind: 'subordinate',
  uid: 1000,
  gid: 1000,
  subUidStart: 100_000,
  subUidCount: 65_536,
  subGidStart: 100_000,
  subGidCount: 1000,
}
const single: IdMapping = { kind: 'single', uid: 1000, gid: 1000 }
const user = (
  uid: number,
  gid: number,
  ...additionalGids: number[]
): { uid: number; gid: number; additionalGids: number[] } => ({ uid, gid, additionalGids })

test('the range of a user is found by name or by number, the largest one', () => {
  const text = 'other:1:5\nalice:100000:1000\n1000:200000:65536\n\nalice:300000:70000\n'
  expect(subordinateRange(text, 'alice', 1)).toEqual({ start: 300_000, count: 70_000 })
  expect(subordinateRange(text, undefined, 1000)).toEqual({ start: 200_000, count: 65_536 })
  expect(subordinateRange(text, 'bob', 7)).toBeUndefined()
})

test('lines that are malformed, empty or would map root are passed over', () => {
  for (const line of [
    'alice:0:65536',
    'alice:x:65536',
    'alice:100:0',
    'alice:100',
    'alice:100:10:1',
    ':100:10',
    '#alice:1:1',
    'alice:-5:10',
  ]) {
    expect(subordinateRange(`${line}\n`, 'alice', 1)).toBeUndefined()
  }
})

test('the range that is proposed to a user is one that nobody has', () => {
  expect(freeSubordinateRange('', '')).toBe('100000-165535')
  expect(freeSubordinateRange('alice:100000:65536\nbob:165536:65536\n', 'alice:100000:65536\n')).toBe('231072-296607')
  expect(freeSubordinateRange('alice:100000:65536\n', 'alice:200000:65536\n#x\nodd:y:z\n')).toBe('265536-331071')
})

test('with subordinate ids there are as many as the range has, and root', () => {
  expect(mappedIds(subordinate)).toEqual({ uids: 65_537, gids: 1001 })
  expect(mapUser(subordinate, user(65_536, 1000, 5), 'step')).toEqual(user(65_536, 1000, 5))
  expect(() => mapUser(subordinate, user(65_537, 0), 'step')).toThrow(
    expect.objectContaining({ code: 'OCI_RUNTIME_ID_UNAVAILABLE' }),
  )
  expect(() => mapUser(subordinate, user(0, 1001), 'step')).toThrow('group 1001')
  expect(() => mapUser(subordinate, user(0, 0, 2000), 'step')).toThrow('group 2000')
})

test('with a single id root stays, without its additional groups, and others are refused', () => {
  expect(mapUser(single, user(0, 0, 1, 2), 'step')).toEqual(user(0, 0))
  expect(() => mapUser(single, user(33, 33), 'step')).toThrow(
    expect.objectContaining({
      message: 'step: there is no user 33 here, only id 0',
      hint: expect.stringMatching(/newuidmap|subordinate ids/),
    }),
  )
  expect(() => mapUser(single, user(0, 5), 'step')).toThrow('group 5')
})

test("root's own namespaces have every id", () => {
  expect(mapUser({ kind: 'identity' }, user(4_000_000_000, 7, 8), 'step')).toEqual(user(4_000_000_000, 7, 8))
})
