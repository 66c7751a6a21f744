import { expect, test } from '@jest/globals'
import { processorMs } from '@ts-oci/testing'
import { namePattern } from './name-pattern.ts'

// From the documentation and the tests of Go's path.Match.
test.each([
  ['abc', 'abc', true],
  ['*', 'abc', true],
  ['*c', 'abc', true],
  ['a*', 'a', true],
  ['a*', 'ab/c', false],
  ['a*/b', 'abc/b', true],
  ['a*/b', 'a/c/b', false],
  ['a*b*c*d*e*/f', 'axbxcxdxe/f', true],
  ['a*b*c*d*e*/f', 'axbxcxdxexxx/fff', false],
  ['a*b?c*x', 'abxbbxdbxebxczzx', true],
  ['a*b?c*x', 'abxbbxdbxebxczzy', false],
  ['ab[c]', 'abc', true],
  ['ab[b-d]', 'abc', true],
  ['ab[^e-g]', 'abc', true],
  ['a\\*b', 'ab', false],
  ['a?b', 'a☺b', true],
  ['a?b', 'a/b', false],
  ['[\\]a]', ']', true],
  ['*x', 'xxx', true],
])('%s against %s: %s', (pattern, name, expected) => {
  expect(namePattern(pattern)!(name)).toBe(expected)
})

test.each(['[]a]', '[-]', '[x-]', '[', '[^', '[^bc', 'a[', '\\'])('%s is no pattern', (pattern) => {
  expect(namePattern(pattern)).toBeUndefined()
})

test('a pattern of many stars ends in no time', () => {
  const startMs = processorMs()
  expect(namePattern(`${'*a'.repeat(2000)}b`)!('a'.repeat(20_000))).toBe(false)
  expect(processorMs() - startMs).toBeLessThan(3000)
})
