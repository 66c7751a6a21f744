/**
 * Text in the way that the reference implementation treats it: its white space, its case mapping and its quoting are
 * not JavaScript's, and a file that is not UTF-8 is no error.
 */

/** First code unit that stands for a byte that is no UTF-8 (see {@link decodeText}). */
const RAW_BYTE = 0xdc00

/**
 * Decodes a Dockerfile. A byte that is no part of valid UTF-8 becomes the lone surrogate U+DC00 + byte, so that bodies
 * of heredocs come out again byte for byte (`encodeText`) and every such byte counts as one character.
 */
export function decodeText(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    return decodeLossless(bytes)
  }
}

function decodeLossless(bytes: Uint8Array): string {
  const parts: string[] = []
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
  let at = 0
  while (at < bytes.length) {
    const width = sequenceLength(bytes, at)
    if (width === 0) {
      parts.push(String.fromCharCode(RAW_BYTE + bytes[at]!))
      at += 1
    } else {
      let end = at + width
      for (let next = width; next > 0 && end < bytes.length; end += next) {
        next = sequenceLength(bytes, end)
        if (next === 0) break
      }
      parts.push(decoder.decode(bytes.subarray(at, end)))
      at = end
    }
  }
  return parts.join('')
}

// Unicode 15, table 3-7: which byte sequences are well formed. 0: the byte at `at` begins none.
function sequenceLength(bytes: Uint8Array, at: number): number {
  const first = bytes[at]!
  if (first < 0x80) return 1
  if (first < 0xc2 || first > 0xf4) return 0
  const second = bytes[at + 1] ?? 0
  if (first < 0xe0) return isContinuation(second) ? 2 : 0
  const low = first === 0xe0 ? 0xa0 : first === 0xf0 ? 0x90 : 0x80
  const high = first === 0xed ? 0x9f : first === 0xf4 ? 0x8f : 0xbf
  if (second < low || second > high || !isContinuation(bytes[at + 2] ?? 0)) return 0
  if (first < 0xf0) return 3
  return isContinuation(bytes[at + 3] ?? 0) ? 4 : 0
}

function isContinuation(byte: number): boolean {
  return (byte & 0xc0) === 0x80
}

/** The bytes of a text: UTF-8, with the bytes that {@link decodeText} could not read put back. */
export function encodeText(text: string): Buffer {
  if (text.isWellFormed()) return Buffer.from(text, 'utf8')
  const parts: Buffer[] = []
  let start = 0
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code >= 0xd800 && code < RAW_BYTE && isLowSurrogate(text.charCodeAt(at + 1))) at++
    else if (code >= RAW_BYTE + 0x80 && code <= RAW_BYTE + 0xff) {
      parts.push(Buffer.from(text.slice(start, at), 'utf8'), Buffer.of(code - RAW_BYTE))
      start = at + 1
    }
  }
  parts.push(Buffer.from(text.slice(start), 'utf8'))
  return Buffer.concat(parts)
}

function isLowSurrogate(code: number): boolean {
  return code >= 0xdc00 && code <= 0xdfff
}

/** White space as Unicode's White_Space: unlike `\s` with U+0085 and without U+FEFF. */
export function isSpaceCode(code: number): boolean {
  if (code < 0x80) return code === 0x20 || (code >= 0x09 && code <= 0x0d)
  if (code < 0x1680) return code === 0x85 || code === 0xa0
  return (
    code === 0x1680 ||
    (code >= 0x2000 && code <= 0x200a) ||
    code === 0x2028 ||
    code === 0x2029 ||
    code === 0x202f ||
    code === 0x205f ||
    code === 0x3000
  )
}

/** The text without leading white space. */
export function trimLeft(text: string): string {
  let start = 0
  while (start < text.length && isSpaceCode(text.charCodeAt(start))) start++
  return start === 0 ? text : text.slice(start)
}

/** The text without white space at either end. */
export function trimSpace(text: string): string {
  let start = 0
  let end = text.length
  while (start < end && isSpaceCode(text.charCodeAt(start))) start++
  while (end > start && isSpaceCode(text.charCodeAt(end - 1))) end--
  return end - start === text.length ? text : text.slice(start, end)
}

/** Lower case, character by character: no final sigma, no character that grows. */
export function lowerCase(text: string): string {
  return isAscii(text) ? text.toLowerCase() : mapCharacters(text, (character) => character.toLowerCase())
}

/** Upper case, character by character: `ß` stays as it is. */
export function upperCase(text: string): string {
  return isAscii(text) ? text.toUpperCase() : mapCharacters(text, (character) => character.toUpperCase())
}

function mapCharacters(text: string, map: (character: string) => string): string {
  let result = ''
  for (const character of text) {
    const mapped = character === '\u0130' ? 'i' : map(character)
    result += Array.from(mapped).length === 1 ? mapped : character
  }
  return result
}

export function isAscii(text: string): boolean {
  for (let at = 0; at < text.length; at++) if (text.charCodeAt(at) > 0x7f) return false
  return true
}

/** Order of the UTF-8 bytes, which differs from `<` for characters beyond U+FFFF. */
export function compareBytes(a: string, b: string): number {
  if (isAscii(a) && isAscii(b)) return a < b ? -1 : a > b ? 1 : 0
  return Buffer.compare(encodeText(a), encodeText(b))
}

const SHORT_ESCAPES: Readonly<Record<string, string>> = {
  '\x07': '\\a',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\v': '\\v',
  '\\': '\\\\',
  '"': '\\"',
}

/** A text in double quotes as Go's `%q` prints it: what BuildKit's messages and history strings contain. */
export function quote(text: string): string {
  if (/^[ !#-[\]-~]*$/.test(text)) return `"${text}"`
  let result = '"'
  for (const character of text) result += SHORT_ESCAPES[character] ?? quoteCharacter(character)
  return `${result}"`
}

function quoteCharacter(character: string): string {
  const code = character.codePointAt(0)!
  if (code >= RAW_BYTE + 0x80 && code <= RAW_BYTE + 0xff) return `\\x${(code - RAW_BYTE).toString(16)}`
  if (code >= 0xd800 && code <= 0xdfff) return '\ufffd'
  if (code === 0x20 || /^[\p{L}\p{M}\p{N}\p{P}\p{S}]$/u.test(character)) return character
  if (code < 0x80) return `\\x${code.toString(16).padStart(2, '0')}`
  if (code < 0x10000) return `\\u${code.toString(16).padStart(4, '0')}`
  return `\\U${code.toString(16).padStart(8, '0')}`
}
