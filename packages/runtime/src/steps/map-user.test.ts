import { expect, test } from '@jest/globals'
import type { IdMapping } from '../isolation/types.ts'
import { mappedIds, mapUser } from './map-user.ts'

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

test('with subordinate ids there are as many as the range has, and root', () => {
  expect(mappedIds(subordinate)).toEqual({ uids: 65_537, gids: 1001 })
  expect(mapUser(subordinate, user(65_536, 1000, 5), 'step')).toEqual(user(65_536, 1000, 5))
  expect(() => mapUser(subordinate, user(65_537, 0), 'step')).toThrow(
    expect.objectContaining({ code: 'OCI_RUNTIME_ID_UNAVAILABLE' }),
  )
  expect(() => mapUser(subordinate, user(0, 1001), 'step')).toThrow('group 1001')
  expect(() => mapUser(subordinate, user(0, 0, 2000), 'step')).toThrow('group 2000')
})

test('with a single id every user and group is there: a supervisor answers for them', () => {
  expect(mapUser(single, user(33, 5, 1, 2), 'step')).toEqual(user(33, 5, 1, 2))
})

test("root's own namespaces have every id", () => {
  expect(mapUser({ kind: 'identity' }, user(4_000_000_000, 7, 8), 'step')).toEqual(user(4_000_000_000, 7, 8))
})
