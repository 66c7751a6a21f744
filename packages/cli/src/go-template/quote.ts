import { CallError } from './errors.ts'
import { fromBytes, isPrintable, runeAt, runeBytes, runesOf } from './bytes.ts'

const short: Readonly<Record<number, string>> = {
  7: String.raw`\a`,
  8: String.raw`\b`,
  9: String.raw`\t`,
  10: String.raw`\n`,
  11: String.raw`\v`,
  12: String.raw`\f`,
  13: String.raw`\r`,
}

/** A byte string as a literal of Go (`strconv.Quote`); `isAscii` escapes everything else, `mark` is `"` or `'`. */
export function quote(bytes: string, { isAscii = false, mark = '"' } = {}): string {
  let out = mark
  for (const { point, size, at } of runesOf(bytes)) {
    const isBroken = point === 0xff_fd && size === 1
    out += isBroken ? `\\x${hex(bytes.charCodeAt(at), 2)}` : quotePoint(point, mark, isAscii)
  }
  return out + mark
}

function quotePoint(point: number, mark: string, isAscii: boolean): string {
  const char = runeBytes(point)
  if (char === mark || char === '\\') return `\\${char}`
  if (isAscii ? point >= 0x20 && point < 0x7f : isPrintable(point)) return char
  const known = short[point]
  if (known !== undefined) return known
  if (point < 0x20 || point === 0x7f) return `\\x${hex(point, 2)}`
  return point > 0xff_ff ? `\\U${hex(point, 8)}` : `\\u${hex(point, 4)}`
}

function hex(value: number, digits: number): string {
  return value.toString(16).padStart(digits, '0')
}

/** Whether a byte string may stand between backquotes on one line. */
export function canBackquote(bytes: string): boolean {
  for (const { point, size } of runesOf(bytes)) {
    if (point === 0xff_fd && size === 1) return false
    if (point === 0xfe_ff || point === 0x60 || point === 0x7f || (point < 0x20 && point !== 9)) return false
  }
  return true
}

/** What a literal between `"`, or between backquotes, says. @throws CallError */
export function unquote(literal: string): string {
  const body = literal.slice(1, -1)
  if (literal.startsWith('`')) return body.replaceAll('\r', '')
  let out = ''
  for (let at = 0; at < body.length;) {
    const { bytes, next } = unescapeAt(body, at, '"')
    out += bytes
    at = next
  }
  return out
}

/** The code point that a literal between `'` says. @throws CallError */
export function unquoteChar(literal: string): number {
  const { point, next } = unescapeAt(literal, 1, "'")
  if (next !== literal.length - 1) throw new CallError(`malformed character constant: ${literal}`)
  return point
}

const letters: Readonly<Record<string, number>> = { a: 7, b: 8, f: 12, n: 10, r: 13, t: 9, v: 11, '\\': 92 }

function unescapeAt(text: string, at: number, mark: string): { bytes: string; point: number; next: number } {
  if (text[at] === mark) throw new CallError('invalid syntax')
  if (text[at] !== '\\') {
    const { point, size } = runeAt(text, at)
    return { bytes: text.slice(at, at + size), point, next: at + size }
  }
  const letter = text[at + 1] ?? ''
  const known = letter === mark ? mark.charCodeAt(0) : letters[letter]
  if (known !== undefined) return { bytes: String.fromCodePoint(known), point: known, next: at + 2 }
  const digits = { x: 2, u: 4, U: 8 }[letter]
  const pattern = digits === undefined ? /^[0-7]{3}/ : new RegExp(`^[0-9a-fA-F]{${digits}}`)
  const found = pattern.exec(text.slice(digits === undefined ? at + 1 : at + 2))?.[0]
  if (found === undefined) throw new CallError('invalid syntax')
  const point = Number.parseInt(found, digits === undefined ? 8 : 16)
  const isByte = digits === undefined || digits === 2
  if (isByte ? point > 255 : point > 0x10_ff_ff || (point >= 0xd8_00 && point < 0xe0_00))
    throw new CallError('invalid syntax')
  const next = at + found.length + (digits === undefined ? 1 : 2)
  return { bytes: isByte ? String.fromCodePoint(point) : runeBytes(point), point, next }
}

/** A text for a message: at most so many characters of it, quoted, then read by people. */
export function quoteShort(bytes: string, most: number): string {
  return quote(
    [...runesOf(bytes)]
      .slice(0, most)
      .map(({ point }) => runeBytes(point))
      .join(''),
  )
}

/** A code point as `U+0041 'A'`. */
export function unicodeName(point: number): string {
  const shown = isPrintable(point) ? ` '${fromBytes(runeBytes(point))}'` : ''
  return `U+${point.toString(16).toUpperCase().padStart(4, '0')}${shown}`
}
