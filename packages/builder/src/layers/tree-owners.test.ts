import { expect, test } from '@jest/globals'
import type { TreeForm } from '../store/types.ts'
import { mayUseTree, treeKind, usesTree } from './tree-owners.ts'

const shifted = { kind: 'shifted', uidStart: 100_000, uidCount: 65_536, gidStart: 100_000, gidCount: 65_536 } as const
const subordinate = {
  kind: 'subordinate',
  uid: 1000,
  gid: 1000,
  subUidStart: 200_000,
  subUidCount: 65_536,
  subGidStart: 300_000,
  subGidCount: 65_536,
} as const

function tree(owners: string): TreeForm {
  return { owners, xattrs: 'user', synced: true, bootId: '', path: 'snapshots/x' } as TreeForm
}

// Both as stores of before devices were made in trees of users have them.
test.each([
  ['shifted ids', shifted, 'shifted:100000:100000'],
  ['subordinate ids', subordinate, 'subordinate:1000:200000:300000'],
])('a tree of a store that left out the devices of a base is not used: %s', (_name, idMapping, before) => {
  const kind = treeKind({ overlayXattr: 'user', idMapping })
  expect(usesTree(tree(kind.owners), kind)).toBe(true)
  expect(usesTree(tree(before), kind)).toBe(false)
  expect(mayUseTree(tree(before), 'auto')).toBe(false)
})
