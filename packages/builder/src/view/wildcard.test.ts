import { describe, expect, test } from '@jest/globals'
import { processorMs } from '@ts-oci/testing'
import { toByteString } from '../base/byte-string.ts'
import { makeEntry } from './entry.ts'
import { createChainView } from './view.ts'
import { expandWildcard, hasWildcard } from './wildcard.ts'

function viewOf(...paths: string[]): ReturnType<typeof createChainView> {
  const entries = paths.map((path) => {
    const [name, link] = path.split(' -> ')
    return makeEntry({ path: toByteString(name!), type: link === undefined ? 'file' : 'symlink', link })
  })
  return createChainView([{ entries }])
}

describe('one component', () => {
  // Pattern, name, whether Go's filepath.Match matches (its documented grammar).
  test.each<[string, string, boolean]>([
    ['*', 'abc', true],
    ['*', '.hidden', true],
    ['a*c', 'abbbc', true],
    ['a*c', 'abd', false],
    ['a?c', 'abc', true],
    ['a?c', 'a☺c', true],
    ['a?c', 'a\u{1f600}c', true],
    ['a??c', 'a☺c', false],
    ['?', '\xff', true],
    ['[a-c]x', 'bx', true],
    ['[^a-c]x', 'bx', false],
    ['[^a-c]x', '☺x', true],
    ['[a-ζ]*', 'α', true],
    ['[ζ-a]x', 'bx', false],
    ['[]-]', ']', false],
    ['a\\*b*', 'a*bc', true],
    ['a\\*[b]', 'axb', false],
    ['[\\]a]', ']', true],
    ['[\\-]', '-', true],
    ['*.txt', 'a.txt.bak', false],
    ['(a|b)*', 'a', false],
    ['(a|b)*', '(a|b)c', true],
    ['**', 'name', true],
  ])('%s against %s: %s', (pattern, name, expected) => {
    const bytes = name === '\xff' ? name : toByteString(name)
    const view = createChainView([{ entries: [makeEntry({ path: bytes, type: 'file' })] }])
    if (pattern === '[]-]')
      expect(() => expandWildcard(view, pattern)).toThrow(expect.objectContaining({ code: 'OCI_COPY_INVALID' }))
    else expect(expandWildcard(view, toByteString(pattern))).toEqual(expected ? [bytes] : [])
  })

  test.each(['[', '[a', '[]', '[a-', '[a-]', '[-x]', '[x-]', 'a*\\', '[^'])('%s is no pattern', (pattern) => {
    expect(() => expandWildcard(viewOf('x'), `*/${pattern}`)).toThrow(
      expect.objectContaining({ code: 'OCI_COPY_INVALID' }),
    )
  })
})

test('a star stays in its component, and results come in the order of the view', () => {
  const view = viewOf('a/x.js', 'a/y/z.js', 'b/w.js', 'a-b/x.js', 'top.js')
  expect(expandWildcard(view, '*/*.js')).toEqual(['a/x.js', 'a-b/x.js', 'b/w.js'])
  expect(expandWildcard(view, '/*.js')).toEqual(['top.js'])
  expect(expandWildcard(view, 'a/*')).toEqual(['a/x.js', 'a/y'])
})

test('links before the first wildcard are followed, links that match are not', () => {
  const view = viewOf('real/sub/x', 'link -> /real', 'real/loop -> ../real')
  expect(expandWildcard(view, 'link/s*')).toEqual(['real/sub'])
  expect(expandWildcard(view, 'l*')).toEqual(['link'])
  expect(expandWildcard(view, 'l*/sub')).toEqual([])
  expect(expandWildcard(view, 'real/*/x')).toEqual(['real/sub/x'])
})

test('a quoted wildcard is none', () => {
  expect(hasWildcard('a\\*b')).toBe(false)
  expect(hasWildcard('a\\\\*b')).toBe(true)
  expect(hasWildcard('plain')).toBe(false)
})

test('a pattern of many stars is matched in time linear in the name', () => {
  const view = viewOf('a'.repeat(255), `${'a'.repeat(254)}b`, 'ab'.repeat(127))
  const startMs = processorMs()
  expect(expandWildcard(view, `${'*a'.repeat(60)}c`)).toEqual([])
  expect(expandWildcard(view, `${'?*'.repeat(60)}[x-z]`)).toEqual([])
  expect(expandWildcard(view, `${'[a-b]*'.repeat(60)}b`)).toHaveLength(2)
  expect(processorMs() - startMs).toBeLessThan(1000)
})

test('a range of a million characters costs nothing', () => {
  expect(expandWildcard(viewOf('🚀'), `[\\${toByteString('\u00a0')}-${toByteString('\u{10ffff}')}]`)).toEqual([
    toByteString('🚀'),
  ])
})
