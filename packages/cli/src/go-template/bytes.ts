/**
 * Strings of Go are bytes: `len`, `slice`, `%x`, `truncate` and the columns of messages count them. Inside the evaluator every text
 * is therefore a _byte string_, which holds one byte in each char; texts are converted where they come in and go out.
 */

/** The UTF-8 bytes of a text, one in each char. */
export function toBytes(text: string): string {
  return isAscii(text) ? text : Buffer.from(text, 'utf8').toString('latin1')
}

/** The text of a byte string; what is no UTF-8 becomes U+FFFD. */
export function fromBytes(bytes: string): string {
  return isAscii(bytes) ? bytes : Buffer.from(bytes, 'latin1').toString('utf8')
}

function isAscii(text: string): boolean {
  for (let at = 0; at < text.length; at++) if (text.charCodeAt(at) > 0x7f) return false
  return true
}

/** A code point, or U+FFFD of one byte where the bytes are no UTF-8; `size` counts bytes and is 0 at the end. */
export interface Rune {
  readonly point: number
  readonly size: number
}

const invalid: Rune = { point: 0xff_fd, size: 1 }

/** The code point that begins at a byte. */
export function runeAt(bytes: string, at: number): Rune {
  const first = bytes.charCodeAt(at)
  if (Number.isNaN(first)) return { point: -1, size: 0 }
  if (first < 0x80) return { point: first, size: 1 }
  const size =
    first >= 0xf0 && first < 0xf5 ? 4 : first >= 0xe0 && first < 0xf0 ? 3 : first >= 0xc2 && first < 0xe0 ? 2 : 0
  if (size === 0) return invalid
  const text = fromBytes(bytes.slice(at, at + size))
  const point = text.codePointAt(0) ?? 0
  // A decoder that met something else gives several characters, or the replacement that was not written there.
  if (text.length !== (point > 0xff_ff ? 2 : 1)) return invalid
  if (point === 0xff_fd && bytes.slice(at, at + 3) !== '\u00ef\u00bf\u00bd') return invalid
  return { point, size }
}

/** All code points of a byte string with the byte at which each begins. */
export function* runesOf(bytes: string): Generator<Rune & { readonly at: number }> {
  for (let at = 0; at < bytes.length;) {
    const rune = runeAt(bytes, at)
    yield { ...rune, at }
    at += rune.size
  }
}

/** How many code points there are. */
export function countRunes(bytes: string): number {
  if (isAscii(bytes)) return bytes.length
  let count = 0
  for (const _ of runesOf(bytes)) count++
  return count
}

/** The bytes of one code point; of none, those of U+FFFD. */
export function runeBytes(point: number): string {
  const isNone = point < 0 || point > 0x10_ff_ff || (point >= 0xd8_00 && point < 0xe0_00)
  return toBytes(String.fromCodePoint(isNone ? 0xff_fd : point))
}

/** A letter of any script, or `_` or a digit: what names of fields, functions and variables are made of. */
export function isNamePoint(point: number): boolean {
  if (point < 0) return false
  if (point < 0x80) return /\w/.test(String.fromCodePoint(point))
  return /[\p{L}\p{Nd}]/u.test(String.fromCodePoint(point))
}

/** What Go calls printable: letters, marks, numbers, punctuation, symbols, and of the blanks only U+0020. */
export function isPrintable(point: number): boolean {
  if (point < 0x7f) return point >= 0x20
  return /[\p{L}\p{M}\p{N}\p{P}\p{S}]/u.test(String.fromCodePoint(point))
}
