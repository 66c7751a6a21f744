/**
 * Patterns of `${name#pattern}`, `%` and `/`: `*` and `?` only, no brackets; neither takes a newline. Matching never
 * goes back over what it has read: an expression of JavaScript would, and never end for `${A##*a*a*a*a*b}`.
 */
import { Complaint } from './complaint.ts'
import { tooLarge } from './text-budget.ts'

/** A code point, or any but the newline. */
type Place = number

const ANY: Place = -1
const NEWLINE = 0x0a

/** The pattern between its stars; two pieces have a star between them. */
type Pieces = readonly (readonly Place[])[]

/**
 * The value without the part at its beginning that matches.
 * @throws Complaint when the pattern holds an escape that means nothing.
 */
export function trimPrefix(pattern: string, value: string, greedy: boolean): string {
  const pieces = readPieces(pattern)
  const codes = codesOf(value)
  const found = matchAt(pieces, codes, 0)
  if (found === undefined) return value
  return createSlicer(value, codes)(greedy ? extend(pieces, codes, found) : found.end, codes.length)
}

/** The value without the part at its end that matches. */
export function trimSuffix(pattern: string, value: string, greedy: boolean): string {
  // Both are turned round: the part at the end is one at the beginning then.
  const reversed = reversePattern(pattern)
  return reverse(trimPrefix(reversed, reverse(value), greedy))
}

/** The value with the first match, or all of them, replaced. */
export function replacePattern(
  pattern: string,
  value: string,
  replacement: string,
  options: { readonly all: boolean; readonly maxLength: number },
): string {
  const pieces = readPieces(pattern)
  const codes = codesOf(value)
  const slice = createSlicer(value, codes)
  const fill = options.all ? createTemplate(replacement, options.maxLength) : () => replacement
  const parts: string[] = []
  let length = 0
  let copied = 0
  let lastEnd = -1
  let from = 0
  for (;;) {
    const place = findMatch(pieces, codes, from)
    if (place === undefined) break
    const { start, end } = place
    from = end > start ? end : end + 1
    // Unlike JavaScript's: an empty match right behind a match does not count.
    if (end > start || start !== lastEnd) {
      const before = slice(copied, start)
      const filled = fill(() => slice(start, end))
      length += before.length + filled.length
      if (length > options.maxLength) throw tooLarge('the result is', options.maxLength)
      parts.push(before, filled)
      copied = end
      lastEnd = end
      if (!options.all) break
    }
    if (from > codes.length) break
  }
  return parts.join('') + slice(copied, codes.length)
}

function readPieces(pattern: string): Pieces {
  const characters = Array.from(pattern)
  const pieces: Place[][] = [[]]
  for (let at = 0; at < characters.length; at++) {
    let character = characters[at]!
    if (character === '*') {
      // Two stars are one.
      if (pieces.length === 1 || pieces.at(-1)!.length > 0) pieces.push([])
      continue
    }
    if (character === '\\') {
      // Before } and / the escape belongs to ${} and not to the pattern, so it is dropped.
      if (characters[at + 1] === '}' || characters[at + 1] === '/') continue
      character = characters[++at] ?? '\ufffd'
      if (character !== '*' && character !== '?' && character !== '\\') {
        throw new Complaint(`invalid pattern (${pattern}) in substitution: invalid escape '\\${character}'`)
      }
      pieces.at(-1)!.push(character.codePointAt(0)!)
    } else pieces.at(-1)!.push(character === '?' ? ANY : character.codePointAt(0)!)
  }
  return pieces
}

/** The shortest match from one place, and where its last piece was looked for first. */
interface Match {
  readonly end: number
  readonly lastFrom: number
}

// Each piece is taken where it fits first: what lies behind it, up to the newline, has the most room then.
function matchAt(pieces: Pieces, codes: Uint32Array, start: number): Match | undefined {
  if (!fits(pieces[0]!, codes, start)) return undefined
  let end = start + pieces[0]!.length
  let lastFrom = end
  for (const piece of pieces.slice(1)) {
    lastFrom = end
    let at = end
    while (!fits(piece, codes, at)) {
      if (at >= codes.length || codes[at] === NEWLINE) return undefined
      at++
    }
    end = at + piece.length
  }
  return { end, lastFrom }
}

/** The end of the longest match that begins where the shortest one did. */
function extend(pieces: Pieces, codes: Uint32Array, { end, lastFrom }: Match): number {
  if (pieces.length === 1) return end
  const last = pieces.at(-1)!
  let limit = lastFrom
  while (limit < codes.length && codes[limit] !== NEWLINE) limit++
  for (let at = limit; at > lastFrom; at--) if (fits(last, codes, at)) return at + last.length
  return end
}

/** The leftmost match from a place on, the longest of those. */
function findMatch(
  pieces: Pieces,
  codes: Uint32Array,
  from: number,
): { readonly start: number; readonly end: number } | undefined {
  const [first] = pieces
  for (let start = from; start <= codes.length; start++) {
    if (!fits(first!, codes, start)) continue
    const found = matchAt(pieces, codes, start)
    if (found !== undefined) return { start, end: extend(pieces, codes, found) }
    // Where one place of a line does not lead to a match, no later one of that line does.
    while (start < codes.length && codes[start] !== NEWLINE) start++
  }
  return undefined
}

function fits(piece: readonly Place[], codes: Uint32Array, at: number): boolean {
  if (at + piece.length > codes.length) return false
  for (let index = 0; index < piece.length; index++) {
    const place = piece[index]!
    const code = codes[at + index]!
    if (place === ANY ? code === NEWLINE : place !== code) return false
  }
  return true
}

function codesOf(text: string): Uint32Array {
  const codes = new Uint32Array(text.length)
  let count = 0
  for (let at = 0; at < text.length; at++) {
    const code = text.codePointAt(at)!
    codes[count++] = code
    if (code > 0xffff) at++
  }
  return codes.subarray(0, count)
}

/** Cuts a text by numbers of code points. */
function createSlicer(text: string, codes: Uint32Array): (start: number, end: number) => string {
  if (codes.length === text.length) return (start, end) => text.slice(start, end)
  const offsets = new Uint32Array(codes.length + 1)
  for (const [index, code] of codes.entries()) offsets[index + 1] = offsets[index]! + (code > 0xffff ? 2 : 1)
  return (start, end) => text.slice(offsets[start], offsets[end])
}

// `$0` in the replacement stands for the match, any other `$name` for nothing.
function createTemplate(template: string, maxLength: number): (match: () => string) => string {
  if (!template.includes('$')) return () => template
  let matches = 0
  const parts = template.split(/(\$(?:\$|\{[\p{L}\p{Nd}_]+\}|[\p{L}\p{Nd}_]+))/u).map((part, index) => {
    if (index % 2 === 0) return part
    if (part === '$$') return '$'
    if (part !== '$0' && part !== '${0}') return ''
    matches++
    return undefined
  })
  return (match) => {
    const text = match()
    if (matches * text.length > maxLength) throw tooLarge('the result is', maxLength)
    return parts.map((part) => part ?? text).join('')
  }
}

function reversePattern(pattern: string): string {
  const reversed: string[] = []
  const characters = Array.from(pattern)
  for (let at = 0; at < characters.length; at++) {
    if (characters[at] === '\\' && at + 1 < characters.length) {
      at++
      reversed.push(characters[at]!, '\\')
    } else reversed.push(characters[at]!)
  }
  return reversed.reverse().join('')
}

function reverse(text: string): string {
  return Array.from(text).reverse().join('')
}
