import type { ByteString } from '../byte-string.ts'
import { fromByteString } from '../byte-string.ts'
import { BuilderError } from '../errors.ts'
import { joinPath } from './paths.ts'
import type { View } from './types.ts'

/** True when a path holds `*`, `?` or `[` that no backslash takes away (BuildKit: fsutil's containsWildcards). */
export function hasWildcard(path: ByteString): boolean {
  for (let i = 0; i < path.length; i++) {
    const char = path[i]
    if (char === '\\') i++
    else if (char === '*' || char === '?' || char === '[') return true
  }
  return false
}

/**
 * The paths of a view that a source with wildcards names, in the view's order. Components before the first wildcard
 * follow symlinks inside the root; from there on names are matched one component by one (Go's filepath.Match) and
 * nothing is followed. Throws OCI_COPY_INVALID for a pattern that is none.
 */
export function expandWildcard(view: View, pattern: ByteString): readonly ByteString[] {
  const parts = pattern.split('/').filter((part) => part !== '' && part !== '.')
  const first = parts.findIndex((part) => hasWildcard(part))
  if (first < 0) return [parts.join('/')]
  const matchers = parts.slice(first).map((part) => compile(part, pattern))
  const found: ByteString[] = []
  collect(view, view.resolve(parts.slice(0, first).join('/'), { followLast: true }), matchers, found)
  return found
}

function collect(view: View, directory: ByteString, matchers: readonly RegExp[], found: ByteString[]): void {
  const [matcher, ...rest] = matchers
  for (const child of view.children(directory)) {
    const name = directory === '' ? child.path : child.path.slice(directory.length + 1)
    if (!matcher!.test(name)) continue
    if (rest.length === 0) found.push(joinPath(directory, name))
    else if (child.type === 'directory') collect(view, joinPath(directory, name), rest, found)
  }
}

// One character of Go's matcher is a rune: an UTF-8 sequence, or a byte that begins none.
const SEQUENCE = '[\\xc2-\\xdf][\\x80-\\xbf]|[\\xe0-\\xef][\\x80-\\xbf]{2}|[\\xf0-\\xf4][\\x80-\\xbf]{3}'
const RUNE = `(?:[\\x00-\\x7f]|${SEQUENCE}|(?!${SEQUENCE})[\\x80-\\xff])`

/** One component of a filepath.Match pattern as a regular expression over bytes. */
function compile(part: ByteString, pattern: ByteString): RegExp {
  let source = ''
  for (let i = 0; i < part.length; i++) {
    const char = part[i]!
    if (char === '*') source += '[\\s\\S]*'
    else if (char === '?') source += RUNE
    else if (char === '[') {
      const set = readSet(part, i + 1, pattern)
      source += set.source
      i = set.end
    } else if (char === '\\') {
      if (++i === part.length) throw badPattern(pattern)
      source += literal(part[i]!)
    } else source += literal(char)
  }
  return new RegExp(`^${source}$`)
}

/** `[a-z]`, `[^a]`: at least one member, `\` takes the next character as it is. `end` is the index of the closing bracket. */
function readSet(part: ByteString, start: number, pattern: ByteString): { source: string; end: number } {
  let i = start
  const negated = part[i] === '^'
  if (negated) i++
  const members: string[] = []
  for (;;) {
    if (part[i] === ']' && members.length > 0) break
    const low = readMember(part, i, pattern)
    i = low.next
    if (part[i] !== '-') {
      members.push(low.char)
      continue
    }
    const high = readMember(part, i + 1, pattern)
    i = high.next
    members.push(...range(low.char, high.char))
  }
  const isMember = `(?:${members.map((char) => Array.from(char, literal).join('')).join('|') || '(?!)'})`
  return { source: negated ? `(?!${isMember})${RUNE}` : isMember, end: i }
}

function readMember(part: ByteString, at: number, pattern: ByteString): { char: ByteString; next: number } {
  let start = at
  if (part[start] === undefined || part[start] === '-' || part[start] === ']') throw badPattern(pattern)
  if (part[start] === '\\') start++
  if (start >= part.length) throw badPattern(pattern)
  const char = new RegExp(`^${RUNE}`).exec(part.slice(start))![0]
  if (start + char.length >= part.length) throw badPattern(pattern)
  return { char, next: start + char.length }
}

const LONGEST_RANGE = 0x1_0000

/** The characters from one to another, each as its bytes; none when they are the wrong way round. */
function range(low: ByteString, high: ByteString): ByteString[] {
  const from = codePoint(low)
  const to = Math.min(codePoint(high), from + LONGEST_RANGE)
  const members: ByteString[] = []
  for (let code = from; code <= to; code++)
    members.push(
      code < 0x80 ? String.fromCharCode(code) : Buffer.from(String.fromCodePoint(code), 'utf8').toString('latin1'),
    )
  return members.length > 0 ? members : ['\0']
}

function codePoint(char: ByteString): number {
  return fromByteString(char).codePointAt(0) ?? 0
}

function literal(char: string): string {
  const code = char.charCodeAt(0)
  return /[A-Za-z0-9]/.test(char) ? char : `\\x${code.toString(16).padStart(2, '0')}`
}

function badPattern(pattern: ByteString): BuilderError {
  return new BuilderError('OCI_COPY_INVALID', `syntax error in pattern: "${fromByteString(pattern)}"`, {
    hint: 'write \\[ for a bracket that is part of a name',
  })
}
