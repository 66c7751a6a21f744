import type { ByteString } from '../byte-string.ts'
import { BuilderError } from '../errors.ts'

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

/** Decodes the data of a PAX header. Throws OCI_LAYER_INVALID. */
export function decodePax(data: Uint8Array): Map<string, ByteString> {
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength)
  const text = bytes.toString('latin1')
  const records = new Map<string, ByteString>()
  let position = 0
  while (position < text.length) {
    const space = text.indexOf(' ', position)
    const digits = space < 0 ? '' : text.slice(position, space)
    const length = /^[0-9]{1,9}$/.test(digits) ? Number(digits) : 0
    const end = position + length
    const equals = text.indexOf('=', space)
    const isWhole =
      length > digits.length + 2 && end <= text.length && text[end - 1] === '\n' && equals > space && equals < end
    if (!isWhole) {
      // Some writers pad the last block's data with NULs.
      if (/^\0+$/.test(text.slice(position))) break
      throw new BuilderError('OCI_LAYER_INVALID', 'a PAX header of the tar holds a malformed record')
    }
    // From the bytes: a slice of the text would keep all of it in memory, up to 1 MiB for a name.
    records.set(bytes.toString('latin1', space + 1, equals), bytes.toString('latin1', equals + 1, end - 1))
    position = end
  }
  return records
}

/** A PAX time (`-1.5`, `1700000000.123456789`) as floored seconds and nanoseconds. Throws OCI_LAYER_INVALID. */
export function parsePaxTime(text: string): { readonly sec: number; readonly nsec: number } {
  const match = /^(-?)([0-9]+)(?:\.([0-9]*))?$/.exec(text)
  if (match === null)
    throw new BuilderError('OCI_LAYER_INVALID', `a PAX header of the tar holds the time ${JSON.stringify(text)}`)
  const whole = Number(match[2])
  const nsec = Number((match[3] ?? '').slice(0, 9).padEnd(9, '0'))
  if (match[1] === '') return { sec: whole, nsec }
  return nsec === 0 ? { sec: 0 - whole, nsec } : { sec: -whole - 1, nsec: 1_000_000_000 - nsec }
}

/** A PAX number of a size or an id. Throws OCI_LAYER_INVALID. */
export function parsePaxInteger(text: string, key: string): number {
  const value = /^[0-9]{1,16}$/.test(text) ? Number(text) : Number.NaN
  if (Number.isSafeInteger(value)) return value
  throw new BuilderError(
    'OCI_LAYER_INVALID',
    `a PAX header of the tar holds ${key}=${JSON.stringify(text.slice(0, 40))}`,
  )
}
