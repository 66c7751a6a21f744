import { describe, expect, test } from '@jest/globals'
import { processorMs } from '@ts-oci/testing'
import fc from 'fast-check'
import { createIgnoreMatcher, parseIgnoreFile, type DirectoryMatches } from './ignore.ts'

function excludes(patterns: string | string[], path: string): boolean {
  return createIgnoreMatcher([patterns].flat()).matches(path)
}

function walkExcludes(patterns: string[], path: string): boolean {
  const matcher = createIgnoreMatcher(patterns)
  let parent: DirectoryMatches | undefined
  let excluded = false
  for (let at = path.indexOf('/'); ; at = path.indexOf('/', at + 1)) {
    const result = matcher.matchesWithParent(at === -1 ? path : path.slice(0, at), parent)
    parent = result.matches
    excluded = result.excluded
    if (at === -1) return excluded
  }
}

describe('createIgnoreMatcher', () => {
  // From the documentation of .dockerignore and of Go's filepath.Match.
  test.each([
    ['*/temp*', 'somedir/temporary.txt', true],
    ['*/temp*', 'somedir/temp', true],
    ['*/temp*', 'a/b/temp', false],
    ['*/*/temp*', 'somedir/subdir/temporary.txt', true],
    ['temp?', 'tempa', true],
    ['temp?', 'temp', false],
    ['temp?', 'temp/', false],
    ['**/*.go', 'a.go', true],
    ['**/*.go', 'a/b/c.go', true],
    ['foo', 'foo/bar', true],
    ['foo', 'bar/foo', false],
    ['/foo/bar', 'foo/bar', false],
    ['foo/', 'foo', true],
    ['./foo', 'foo', true],
    ['a/../b', 'b', true],
    ['a/**', 'a', false],
    ['a/**', 'a/b/c', true],
    ['**/a', 'a', true],
    ['**/a', 'b/a/c', true],
    ['**/.env', 'x.env', false],
    ['**a', 'b/ca', true],
    ['a**b', 'a/x/b', true],
    ['[a-c]x', 'bx', true],
    ['[^a-c]x', 'bx', false],
    ['a\\*b', 'a*b', true],
    ['a\\*b', 'axb', false],
    ['a.b', 'axb', false],
    ['a+(b)|{c}$', 'a+(b)|{c}$', true],
    ['a+(b)?', 'a+(b)c', true],
    // Observed with BuildKit: beside a wildcard, bars and braces are those of an expression.
    ['a|b?', 'axxx', true],
    ['a|b?', 'zzb1', true],
    ['q{2}*', 'qqx', true],
    ['q{2}*', 'q{2}x', false],
    ['*{a}', 'x{a}', true],
    ['a|b', 'a|b', true],
    ['a|b', 'a', false],
    ['?', 'é', true],
    ['?', '🚀', true],
    ['A', 'a', false],
    ['.', '.', false],
    ['*', '.hidden', true],
  ])('%s excludes %s: %s', (pattern, path, excluded) => {
    expect(excludes(pattern, path)).toBe(excluded)
  })

  test('the last pattern that matches decides', () => {
    const patterns = ['*.md', '!README*.md', 'README-secret.md']
    expect(['a.md', 'README.md', 'README-secret.md'].map((path) => excludes(patterns, path))).toEqual([
      true,
      false,
      true,
    ])
    expect(excludes(['*.md', 'README-secret.md', '!README*.md'], 'README-secret.md')).toBe(false)
  })

  test('an exception brings a part of an excluded directory back', () => {
    expect(excludes(['docs', '!docs/README.md'], 'docs/README.md')).toBe(false)
    expect(excludes(['**', '!util/web'], 'util/web/x')).toBe(false)
  })

  test('an exception is cleaned with its exclamation mark, which a following .. takes away', () => {
    expect(excludes(['!a/../b'], 'b')).toBe(true)
  })

  test.each(['[', '[]a]', '[-]', '[x-]', '[a', 'a\\', '[a-]', '[^]', '[\\'])('%s is refused', (pattern) => {
    expect(() => createIgnoreMatcher([pattern])).toThrow(
      expect.objectContaining({
        code: 'OCI_IGNORE_PATTERN',
        message: expect.stringContaining('syntax error in pattern'),
      }),
    )
  })

  test('an escape that means nothing is told when the pattern is used', () => {
    const matcher = createIgnoreMatcher(['a\\path'])
    expect(() => matcher.matches('a')).toThrow(expect.objectContaining({ code: 'OCI_IGNORE_PATTERN' }))
  })

  // Observed with BuildKit.
  test.each(['a*b[', '.*[', 'b/*[', '*a*b['])('%s is refused when it is used', (pattern) => {
    expect(() => createIgnoreMatcher([pattern]).matches('x')).toThrow('syntax error in pattern')
  })

  test('a backslash at the end is taken when a piece before it does not fit a dot', () => {
    expect(excludes(['*b/*.txt/\\'], 'x')).toBe(false)
    expect(() => createIgnoreMatcher(['*b/\\'])).toThrow('syntax error in pattern')
  })

  test('a lone exclamation mark is refused', () => {
    expect(() => createIgnoreMatcher(['!'])).toThrow('illegal exclusion pattern: "!"')
  })

  const name = fc.constantFrom('a', 'b', 'ab')
  const path = fc.array(name, { minLength: 1, maxLength: 4 }).map((names) => names.join('/'))

  // Each of these takes an engine that goes back and tries again longer than a build may live.
  test.each([
    `${'*a'.repeat(40)}b`,
    `${'**/a'.repeat(40)}b`,
    `${'**a'.repeat(40)}b`,
    `${'?*'.repeat(40)}b`,
    `${'[a-z]*'.repeat(40)}1`,
    `${'**/*a*/'.repeat(20)}b`,
    `${'a{0,100}'.repeat(20)}?b`,
    `x|${'*a'.repeat(40)}b|y`,
    `\\b${'*a'.repeat(40)}b`,
  ])('%s is matched in time linear in the path', (pattern) => {
    const startMs = processorMs()
    for (const path of ['a'.repeat(4000), 'a/'.repeat(2000) + 'a', 'ab'.repeat(127)]) excludes(pattern, path)
    expect(processorMs() - startMs).toBeLessThan(2000)
  })

  test('thousands of patterns are not tried one by one', () => {
    const kinds = ['src/x', '**/name', 'dir/*', '**/*.e', '!keep/*.t', 'a/**/b']
    const matcher = createIgnoreMatcher(Array.from({ length: 10_000 }, (_, index) => `${kinds[index % 6]}${index}`))
    const startMs = processorMs()
    let count = 0
    for (let index = 0; index < 10_000; index++) if (matcher.matches(`some/deep/name${index}`)) count++
    // Those whose number is one of `**/name`.
    expect(count).toBe(Array.from({ length: 10_000 }, (_, index) => index).filter((index) => index % 6 === 1).length)
    expect(processorMs() - startMs).toBeLessThan(3000)
  })

  test('many patterns mean what few of them mean', () => {
    const part = fc.constantFrom('a', 'b', '*', '**', '?', '[ab]', 'a*', '*b', '\\a')
    const some = fc.array(part, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/'))
    const wanted = fc.tuple(fc.constantFrom('', '!'), some).map((parts) => parts.join(''))
    const never = Array.from({ length: 100 }, (_, index) => `never/${index}/*`)
    fc.assert(
      fc.property(fc.array(wanted, { maxLength: 5 }), path, (list, one) => {
        expect(walkExcludes([...never, ...list], one)).toBe(walkExcludes(list, one))
      }),
      { numRuns: 300 },
    )
  })

  // Go's classes by name.
  test.each([
    ['[[:alpha:]]1', 'x1', true],
    ['[[:alpha:]]1', ':1', false],
    ['[[:^digit:]]1', 'x1', true],
    ['[[:digit:]_]?', '_x', true],
    ['a{2}*', 'aab', true],
    // Observed with BuildKit.
    ['\\x41', 'A', true],
    ['\\x{1f680}', '🚀', true],
    ['\\141', 'a', true],
    ['\\pL', 'é', true],
    ['[\\p{Greek}x]', 'α', true],
    ['\\P{Greek}', 'α', false],
    ['\\p{^Lu}', 'a', true],
    ['\\Qa\\Eb', 'ab', true],
    ['\ufeffa*', 'ab', true],
    ['\\x4', 'a', 'error'],
    ['\\p{Nothing}', 'a', 'error'],
    ['\\1', 'a', 'error'],
    ['\\C', 'a', 'error'],
    ['a{2,}?', 'aaaa', true],
    ['a{1001}?', 'a{1001}b', 'error'],
    ['a{3,2}?', 'a', 'error'],
    ['[[:nothing:]]', 'a', 'error'],
  ])('%s excludes %s: %s', (pattern, path, expected) => {
    if (expected === 'error') expect(() => excludes(pattern, path)).toThrow('syntax error in pattern')
    else expect(excludes(pattern, path)).toBe(expected)
  })

  const exclusion = fc
    .array(fc.oneof(name, fc.constantFrom('*', '**', 'a*', '?', '[ab]')), { minLength: 1, maxLength: 4 })
    .map((parts) => parts.join('/'))
  const pattern = fc.tuple(fc.constantFrom('', '!'), exclusion).map((parts) => parts.join(''))
  const patterns = fc.array(pattern, { minLength: 1, maxLength: 5 })

  test('a walk with the results of parents finds what a single question finds, as long as nothing is excepted', () => {
    fc.assert(
      fc.property(fc.array(exclusion, { minLength: 1, maxLength: 5 }), path, (list, one) => {
        expect(walkExcludes(list, one)).toBe(excludes(list, one))
      }),
      { numRuns: 2000 },
    )
  })

  // BuildKit skips a pattern where it cannot change the result, and a walk takes that for "does not match" further down.
  test('in a walk a pattern that did not matter to a directory does not matter below it', () => {
    const patterns = ['*', '!*/*', 'ab']
    expect(excludes(patterns, 'ab/a')).toBe(true)
    expect(walkExcludes(patterns, 'ab/a')).toBe(false)
  })

  test('nothing below a directory that can be pruned is included', () => {
    fc.assert(
      fc.property(patterns, path, path, (list, directory, below) => {
        fc.pre(walkExcludes(list, directory) && createIgnoreMatcher(list).canPrune(directory))
        expect(walkExcludes(list, `${directory}/${below}`)).toBe(true)
      }),
      { numRuns: 2000 },
    )
  })

  test('a directory is entered only for an exception that can lie in it', () => {
    const matcher = createIgnoreMatcher(['*', '!src/*.ts', '!docs/guide'])
    expect(['src', 'docs', 'node_modules', 'src/deep', 'docs/old'].map((path) => matcher.canPrune(path))).toEqual([
      false,
      false,
      true,
      false,
      true,
    ])
  })
})

describe('parseIgnoreFile', () => {
  test('comments, blanks, slashes and byte order marks are no part of patterns', () => {
    expect(parseIgnoreFile('\ufeff# c\r\n\r\n  a/  \r\n/b//c/../d\n#x\n #y\n! /e\n!\n/\n')).toEqual([
      'a',
      'b/d',
      '#y',
      '!e',
      '!',
      '/',
    ])
  })

  test('a line over 64 KiB is refused', () => {
    expect(() => parseIgnoreFile('x'.repeat(65_536))).toThrow(expect.objectContaining({ code: 'OCI_IGNORE_PATTERN' }))
  })
})
