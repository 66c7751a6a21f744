/**
 * Which paths of a context an ignore file excludes. The rules are those of BuildKit, and not those of Git: a pattern is
 * anchored at the context's root, the last one that matches decides, and what is true of a directory is true of
 * everything below it unless a later `!pattern` says otherwise.
 */
import { posix } from 'node:path'
import { BuilderError } from '../base/errors.ts'
import { quote, trimSpace } from '../base/text.ts'
import { createPatternIndex, type PatternIndex } from './pattern-index.ts'
import { compilePattern, isValidPattern, type CompiledPattern } from './ignore-pattern.ts'

/** Numbers of the patterns that matched a directory or one of its parents. To be handed to the entries of that directory. */
export type DirectoryMatches = readonly number[]

export interface IgnoreMatcher {
  /** The patterns as they are used: cleaned, without `!`. */
  readonly patterns: readonly Pick<Pattern, 'pattern' | 'isException'>[]
  /** Some pattern begins with `!`. */
  readonly hasExceptions: boolean
  /** The path (relative, with slashes), is excluded, by itself or with one of its parents. */
  matches(path: string): boolean
  /**
   * The same for walks: what was found for the directory above is not asked again. Entries of the root are given
   * `undefined`; a directory's `matches` are handed to its entries.
   */
  matchesWithParent(
    path: string,
    parent: DirectoryMatches | undefined,
  ): { readonly excluded: boolean; readonly matches: DirectoryMatches }
  /** Nothing below this excluded directory can be included again: a walk need not enter it. */
  canPrune(directory: string): boolean
}

interface Pattern {
  readonly pattern: string
  readonly isException: boolean
  /** Nothing in it stands for anything else. */
  readonly isLiteral: boolean
  /** Compiled on first use, because a malformed escape is an error only then. */
  compiled: CompiledPattern | undefined
}

/**
 * Prepares patterns for matching. Blank ones are skipped.
 * @throws BuilderError `OCI_IGNORE_PATTERN` for a lone `!` and for brackets or escapes that do not end; its matcher
 * throws the same when an escape turns out to mean nothing.
 * @example createIgnoreMatcher(['docs', '!docs/README.md']).matches('docs/guide.md') // true
 */
export function createIgnoreMatcher(patterns: readonly string[]): IgnoreMatcher {
  const compiled = patterns.flatMap(readPattern)
  const index = createPatternIndex(compiled)
  const exceptions = compiled.filter(({ isException }) => isException)
  return {
    patterns: compiled,
    hasExceptions: exceptions.length > 0,
    matches: (path) => {
      const cleaned = cleanPath(path)
      return cleaned !== '.' && matchWithParent(index, cleaned, undefined).excluded
    },
    matchesWithParent: (path, parent) => matchWithParent(index, path, parent),
    canPrune: (directory) => !exceptions.some((pattern) => canMatchBelow(pattern, `${directory}/`)),
  }
}

function readPattern(written: string): Pattern[] {
  const trimmed = trimSpace(written)
  if (trimmed === '') return []
  const cleaned = cleanPath(trimmed)
  const isException = cleaned.startsWith('!')
  const pattern = isException ? cleaned.slice(1) : cleaned
  if (pattern === '') throw new BuilderError('OCI_IGNORE_PATTERN', 'illegal exclusion pattern: "!"')
  if (!isValidPattern(pattern)) throw malformed(pattern)
  return [{ pattern, isException, isLiteral: !/[*?[\\\]^]/.test(pattern), compiled: undefined }]
}

function malformed(pattern: string): BuilderError {
  return new BuilderError('OCI_IGNORE_PATTERN', `invalid ignore pattern ${quote(pattern)}: syntax error in pattern`, {
    hint: 'Close every [ with ] and put \\ only before the characters that it shall quote.',
    details: { pattern },
  })
}

function compile(pattern: Pattern): CompiledPattern {
  pattern.compiled ??= compilePattern(pattern.pattern)
  if (pattern.compiled === undefined) throw malformed(pattern.pattern)
  return pattern.compiled
}

// The path itself first, then its parents from the top.
function withParents(path: string): string[] {
  const paths = [path]
  for (let at = path.indexOf('/'); at !== -1; at = path.indexOf('/', at + 1)) paths.push(path.slice(0, at))
  return paths
}

// An exception matters only to what is excluded so far, an exclusion only to what is not: the others are not asked, and
// count as not matching for what lies below.
function matchWithParent(
  index: PatternIndex<Pattern>,
  path: string,
  parent: DirectoryMatches | undefined,
): { excluded: boolean; matches: DirectoryMatches } {
  const paths = parent === undefined ? withParents(path) : [path]
  const known = new Set(parent)
  const matches: number[] = []
  let excluded = false
  for (const number of index.candidates(paths, known)) {
    const pattern = index.patterns[number]!
    if (!known.has(number)) {
      if (pattern.isException !== excluded || !matchesAny(pattern, paths)) continue
    }
    matches.push(number)
    excluded = !pattern.isException
  }
  return { excluded, matches }
}

function matchesAny(pattern: Pattern, paths: readonly string[]): boolean {
  const { test } = compile(pattern)
  return paths.some(test)
}

// Two paths can be the same only if one of these beginnings begins with the other.
function canMatchBelow(pattern: Pattern, directory: string): boolean {
  const { literalPrefix } = compile(pattern)
  return literalPrefix.startsWith(directory) || (!pattern.isLiteral && directory.startsWith(literalPrefix))
}

const MAX_LINE_BYTES = 65_536

/**
 * Reads the patterns of an ignore file: one a line, `#` in the first column begins a comment, white space around a
 * pattern does not count, nor does a leading slash.
 * @throws BuilderError `OCI_IGNORE_PATTERN` when a line is longer than 64 KiB.
 */
export function parseIgnoreFile(text: string): string[] {
  const content = text.startsWith('\ufeff') ? text.slice(1) : text
  return content.split('\n').flatMap(readLine)
}

function readLine(line: string): string[] {
  if (Buffer.byteLength(line) >= MAX_LINE_BYTES) {
    throw new BuilderError('OCI_IGNORE_PATTERN', 'failed parsing .dockerignore: bufio.Scanner: token too long', {
      hint: `A line of an ignore file may have ${MAX_LINE_BYTES - 1} bytes.`,
    })
  }
  const pattern = line.startsWith('#') ? '' : trimSpace(line)
  if (pattern === '') return []
  if (!pattern.startsWith('!')) return [relative(pattern)]
  const excepted = trimSpace(pattern.slice(1))
  return [`!${excepted === '' ? '' : relative(excepted)}`]
}

function relative(pattern: string): string {
  const cleaned = cleanPath(pattern)
  return cleaned.length > 1 && cleaned.startsWith('/') ? cleaned.slice(1) : cleaned
}

// As Go's path cleaning: no `.`, no doubled or trailing slash, `..` resolved as text.
function cleanPath(path: string): string {
  const normal = posix.normalize(path)
  return normal.length > 1 && normal.endsWith('/') ? normal.slice(0, -1) : normal
}
