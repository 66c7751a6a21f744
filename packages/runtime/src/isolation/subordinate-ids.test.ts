import { expect, test } from '@jest/globals'
import { freeSubordinateRange, subordinateRange } from './subordinate-ids.ts'

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
