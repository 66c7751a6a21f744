/** Go's filepath.Match for one component, over bytes, in time linear in pattern and name. */
import type { ByteString } from '../base/byte-string.ts'

/** What one place of a piece takes: a byte, or one character that ranges of code points hold, or do not. */
type Atom = number | { readonly isNegated: boolean; readonly ranges: readonly (readonly [low: number, high: number])[] }

/** A pattern between its stars. */
type Piece = readonly Atom[]

const ANY: Atom = { isNegated: true, ranges: [] }

/** A test of names; undefined when the pattern is malformed. */
export function compileMatch(pattern: ByteString): ((name: ByteString) => boolean) | undefined {
  const pieces: Atom[][] = [[]]
  for (let at = 0; at < pattern.length; at++) {
    const char = pattern[at]
    const piece = pieces.at(-1)!
    if (char === '*') {
      if (piece.length > 0 || pieces.length === 1) pieces.push([])
    } else if (char === '?') piece.push(ANY)
    else if (char === '[') {
      const set = readSet(pattern, at + 1)
      if (set === undefined) return undefined
      piece.push(set.atom)
      at = set.end
    } else {
      if (char === '\\' && ++at === pattern.length) return undefined
      piece.push(pattern.charCodeAt(at))
    }
  }
  return (name) => matches(pieces, name)
}

// A piece is taken where it fits first: what lies behind it has the most room then. So nothing is tried twice.
function matches([first, ...rest]: readonly Piece[], name: ByteString): boolean {
  let at = fit(first!, name, 0)
  const last = rest.pop()
  if (at === undefined || last === undefined) return at === name.length
  for (const piece of rest) {
    at = findFit(piece, name, at)
    if (at === undefined) return false
  }
  // The last piece has to end with the name.
  if (last.length === 0) return true
  for (let start = at; start <= name.length; start++) if (fit(last, name, start) === name.length) return true
  return false
}

function findFit(piece: Piece, name: ByteString, from: number): number | undefined {
  for (let start = from; start <= name.length; start++) {
    const end = fit(piece, name, start)
    if (end !== undefined) return end
  }
  return undefined
}

function fit(piece: Piece, name: ByteString, start: number): number | undefined {
  let at = start
  for (const atom of piece) {
    if (at >= name.length) return undefined
    if (typeof atom === 'number') {
      if (name.charCodeAt(at++) !== atom) return undefined
      continue
    }
    const { code, length } = readRune(name, at)
    if (atom.ranges.some(([low, high]) => low <= code && code <= high) === atom.isNegated) return undefined
    at += length
  }
  return at
}

/** `[a-z]`, `[^a]`: at least one member, `\` takes the next character as it is. `end` is the index of the closing bracket. */
function readSet(pattern: ByteString, start: number): { atom: Atom; end: number } | undefined {
  let at = start
  const isNegated = pattern[at] === '^'
  if (isNegated) at++
  const ranges: [number, number][] = []
  while (pattern[at] !== ']' || ranges.length === 0) {
    const low = readMember(pattern, at)
    if (low === undefined) return undefined
    at = low.next
    let high: typeof low | undefined = low
    if (pattern[at] === '-') {
      high = readMember(pattern, at + 1)
      if (high === undefined) return undefined
      at = high.next
    }
    ranges.push([low.code, high.code])
  }
  return { atom: { isNegated, ranges }, end: at }
}

function readMember(pattern: ByteString, start: number): { code: number; next: number } | undefined {
  let at = start
  if (at >= pattern.length || pattern[at] === '-' || pattern[at] === ']') return undefined
  if (pattern[at] === '\\') at++
  if (at >= pattern.length) return undefined
  const { code, length } = readRune(pattern, at)
  // Go takes no byte that is not UTF-8 here, and wants something behind the member.
  if ((code === REPLACEMENT && length === 1) || at + length >= pattern.length) return undefined
  return { code, next: at + length }
}

const REPLACEMENT = 0xfffd

/** A character of UTF-8, or one byte that begins none. */
function readRune(bytes: ByteString, at: number): { code: number; length: number } {
  const first = bytes.charCodeAt(at)
  if (first < 0x80) return { code: first, length: 1 }
  const length = first >= 0xf0 && first < 0xf5 ? 4 : first >= 0xe0 ? 3 : 2
  if (first < 0xc2 || first >= 0xf5 || at + length > bytes.length) return { code: REPLACEMENT, length: 1 }
  let code = first & (0xff >> (length + 1))
  for (let next = at + 1; next < at + length; next++) {
    const byte = bytes.charCodeAt(next)
    if ((byte & 0xc0) !== 0x80) return { code: REPLACEMENT, length: 1 }
    code = (code << 6) | (byte & 0x3f)
  }
  const isOverlong = (length === 3 && code < 0x800) || (length === 4 && code < 0x1_0000)
  if (isOverlong || code > 0x10_ffff || (code >= 0xd800 && code < 0xe000)) return { code: REPLACEMENT, length: 1 }
  return { code, length }
}
