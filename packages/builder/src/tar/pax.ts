import type { ByteString } from '../base/byte-string.ts'
import { BuilderError } from '../base/errors.ts'

/** Records of a PAX header: keyword → value, both byte strings (POSIX.1-2017, pax, "pax Extended Header"). */
export type PaxRecords = ReadonlyMap<string, ByteString>

export const XATTR_PREFIX = 'SCHILY.xattr.'

/** Encodes records as `length keyword=value\n`, sorted by keyword; values keep their bytes. */
export function encodePax(records: PaxRecords): Buffer {
  const keys = [...records.keys()].sort()
  return Buffer.from(keys.map((key) => encodeRecord(key, records.get(key)!)).join(''), 'latin1')
}

function encodeRecord(key: string, value: ByteString): string {
  const body = ` ${key}=${value}\n`
  // The length counts its own digits, which may add one.
  let length = body.length + String(body.length).length
  length = body.length + String(length).length
  return `${length}${body}`
}

/** Records of GNU tar about a sparse file. */
export const SPARSE_PREFIX = 'GNU.sparse.'
export const SPARSE_MAP: string = `${SPARSE_PREFIX}map`

/** Text fields of a header: a NUL would end them there. */
const TEXTS = new Set(['path', 'linkpath', 'uname', 'gname'])

/**
 * Decodes the data of a PAX header; what is valid is what Go's archive/tar takes. The pairs of a sparse file of form 0.0,
 * which repeat their keywords, are answered as the map of form 0.1. Throws OCI_LAYER_INVALID.
 */
export function decodePax(data: Uint8Array): Map<string, ByteString> {
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength)
  const text = bytes.toString('latin1')
  const records = new Map<string, ByteString>()
  const sparse: string[] = []
  let position = 0
  while (position < text.length) {
    const space = text.indexOf(' ', position)
    const digits = space < 0 ? '' : text.slice(position, space)
    const end = position + (/^\+?[0-9]{1,18}$/.test(digits) ? Number(digits) : 0)
    const equals = text.indexOf('=', space)
    // The shortest record has five bytes (POSIX would allow an empty keyword, Go does not).
    const isWhole = end >= position + 5 && end <= text.length && end > space + 1 && text[end - 1] === '\n'
    if (!isWhole || equals < 0 || equals >= end) throw malformed()
    // From the bytes: a slice of the text would keep all of it in memory, up to 1 MiB for a name.
    const key = bytes.toString('latin1', space + 1, equals)
    const value = bytes.toString('latin1', equals + 1, end - 1)
    if (key === '' || (TEXTS.has(key) ? value : key).includes('\0')) throw malformed()
    if (key === `${SPARSE_PREFIX}offset` || key === `${SPARSE_PREFIX}numbytes`) {
      if ((sparse.length % 2 === 0) !== (key === `${SPARSE_PREFIX}offset`) || value.includes(',')) throw malformed()
      sparse.push(value)
    } else records.set(key, value)
    position = end
  }
  if (sparse.length > 0) records.set(SPARSE_MAP, sparse.join(','))
  return records
}

/** A PAX time (`-1.5`, `1700000000.123456789`) as floored seconds and nanoseconds. Throws OCI_LAYER_INVALID. */
export function parsePaxTime(text: string): { readonly sec: number; readonly nsec: number } {
  const match = /^([+-]?[0-9]{1,19})(?:\.([0-9]*))?$/.exec(text)
  if (match === null || !isInt64(match[1]!))
    throw new BuilderError(
      'OCI_LAYER_INVALID',
      `a PAX header of the tar holds the time ${JSON.stringify(text.slice(0, 40))}`,
    )
  const whole = Number(match[1])
  const nsec = Number((match[2] ?? '').slice(0, 9).padEnd(9, '0'))
  if (!match[1]!.startsWith('-') || nsec === 0) return { sec: whole + 0, nsec }
  return { sec: whole - 1, nsec: 1_000_000_000 - nsec }
}

/** A PAX number of a size or an id, 63 bits and a sign. Throws OCI_LAYER_INVALID. */
export function parsePaxInteger(text: string, key: string): number {
  if (isInt64(text)) return Number(text)
  throw new BuilderError(
    'OCI_LAYER_INVALID',
    `a PAX header of the tar holds ${key}=${JSON.stringify(text.slice(0, 40))}`,
  )
}

function isInt64(text: string): boolean {
  if (!/^[+-]?[0-9]{1,1000}$/.test(text)) return false
  const value = BigInt(text.replace('+', ''))
  return BigInt.asIntN(64, value) === value
}

function malformed(): BuilderError {
  return new BuilderError('OCI_LAYER_INVALID', 'a PAX header of the tar holds a malformed record')
}
