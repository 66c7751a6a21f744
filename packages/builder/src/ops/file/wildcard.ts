import { fromByteString, type ByteString } from '../../byte-string.ts'
import { BuilderError } from '../../errors.ts'
import { joinPath } from '../../layer/paths.ts'
import type { View } from '../../layer/types.ts'

/**
 * Whether a whole name matches a pattern as Go's `path/filepath.Match` says: `*` and `?` do not match a slash, `[a-z]`
 * and `[^a-z]`, `\` quotes the next character. A malformed pattern matches nothing.
 */
export function matchName(pattern: string, name: string): boolean {
  return matchFrom([...pattern], 0, [...name], 0)
}

function matchFrom(pattern: readonly string[], patternStart: number, name: readonly string[], nameStart: number): boolean {
  let p = patternStart
  let n = nameStart
  // Where to go on when what follows the last star does not match: the star takes one character more.
  let starPattern = -1
  let starName = -1
  for (;;) {
    if (p < pattern.length && pattern[p] === '*') {
      while (pattern[p] === '*') p++
      starPattern = p
      starName = n
      continue
    }
    if (p === pattern.length && n === name.length) return true
    const step = p < pattern.length && n < name.length ? matchOne(pattern, p, name[n]!) : 0
    if (step < 0) return false
    if (step > 0) {
      p += step
      n++
      continue
    }
    if (starPattern < 0 || starName >= name.length || name[starName] === '/') return false
    starName++
    p = starPattern
    n = starName
  }
}

/** How many characters of the pattern match this one of the name: 0 for none, −1 for a malformed pattern. */
function matchOne(pattern: readonly string[], at: number, char: string): number {
  const first = pattern[at]!
  if (first === '?') return char === '/' ? 0 : 1
  if (first === '[') return matchClass(pattern, at, char)
  if (first !== '\\') return first === char ? 1 : 0
  if (at + 1 >= pattern.length) return -1
  return pattern[at + 1] === char ? 2 : 0
}

function matchClass(pattern: readonly string[], at: number, char: string): number {
  let p = at + 1
  const isNegated = pattern[p] === '^'
  if (isNegated) p++
  let isMatch = false
  let ranges = 0
  for (;;) {
    if (pattern[p] === ']' && ranges > 0) break
    const low = classChar(pattern, p)
    if (low === undefined) return -1
    p += low.length
    let high = low
    if (pattern[p] === '-') {
      const end = classChar(pattern, p + 1)
      if (end === undefined) return -1
      high = end
      p += 1 + end.length
    }
    const code = char.codePointAt(0)!
    if (low.code <= code && code <= high.code) isMatch = true
    ranges++
  }
  return isMatch !== isNegated ? p + 1 - at : 0
}

function classChar(pattern: readonly string[], at: number): { readonly code: number; readonly length: number } | undefined {
  const isQuoted = pattern[at] === '\\'
  const char = pattern[isQuoted ? at + 1 : at]
  // A bare `-` or `]` begins no range.
  if (char === undefined || (!isQuoted && (char === '-' || char === ']'))) return undefined
  return { code: char.codePointAt(0)!, length: isQuoted ? 2 : 1 }
}

/** True when a path has a wildcard that is not quoted. */
export function hasWildcards(path: string): boolean {
  return /^(?:[^\\*?[]|\\[^])*[*?[]/.test(path)
}

/**
 * The paths that a source with wildcards names, in the order of a walk; a source without any is itself. What stands
 * before the first wildcard is a plain path; of a matching directory nothing below is matched again.
 */
export function expandWildcards(view: View, source: ByteString, followLast: boolean): readonly ByteString[] {
  const parts = source.split('/').filter((part) => part !== '')
  const first = parts.findIndex((part) => hasWildcards(part))
  if (first < 0) return [source]
  const fixed = parts.slice(0, first).join('/')
  const start = view.resolve(fixed, { followLast })
  if (start !== '' && view.entry(start) === undefined) {
    throw new BuilderError('OCI_COPY_SOURCE_NOT_FOUND', `lstat /${fromByteString(fixed)}: no such file or directory`, { details: { path: source } })
  }
  const found: ByteString[] = []
  const patterns = parts.slice(first).map(fromByteString)
  const visit = (directory: ByteString, depth: number): void => {
    for (const child of view.children(directory)) {
      const name = child.path.slice(child.path.lastIndexOf('/') + 1)
      if (!matchName(patterns[depth]!, fromByteString(name))) continue
      const path = joinPath(directory, name)
      if (depth === patterns.length - 1) found.push(path)
      else if (child.type === 'directory') visit(path, depth + 1)
    }
  }
  visit(start, 0)
  return found
}
