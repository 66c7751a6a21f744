// Tars written by hand, so that they can hold what no tool writes.

export interface RawFields {
  readonly name?: string
  readonly flag?: string
  readonly link?: string
  readonly mode?: number
  readonly uid?: number | Buffer
  readonly gid?: number
  readonly mtime?: number | Buffer
  readonly devMajor?: number
  readonly devMinor?: number
  /** Default: the length of the data. */
  readonly size?: number | Buffer
  readonly magic?: string
  /** Offset → bytes, written over all else. */
  readonly bytes?: Readonly<Record<number, string | Buffer>>
}

/** Two blocks of zeros. */
export const END: Buffer = Buffer.alloc(1024)

/** An entry: header, data, padding. */
export function rawEntry(fields: RawFields, data: string | Buffer = ''): Buffer {
  const body = Buffer.from(data as string, 'latin1')
  return Buffer.concat([rawHeader({ size: body.length, ...fields }), body, Buffer.alloc(-body.length & 511)])
}

export function rawHeader(fields: RawFields): Buffer {
  const block = Buffer.alloc(512)
  const put = (offset: number, value: string | Buffer): void =>
    void (typeof value === 'string' ? Buffer.from(value, 'latin1') : value).copy(block, offset)
  const number = (offset: number, digits: number, value: number | Buffer): void =>
    put(offset, Buffer.isBuffer(value) ? value : value.toString(8).padStart(digits, '0'))
  put(0, (fields.name ?? 'f').slice(0, 100))
  number(100, 7, fields.mode ?? 0o644)
  number(108, 7, fields.uid ?? 0)
  number(116, 7, fields.gid ?? 0)
  number(124, 11, fields.size ?? 0)
  number(136, 11, fields.mtime ?? 1_600_000_000)
  put(156, fields.flag ?? '0')
  put(157, (fields.link ?? '').slice(0, 100))
  put(257, fields.magic ?? 'ustar\x0000')
  number(329, 7, fields.devMajor ?? 0)
  number(337, 7, fields.devMinor ?? 0)
  for (const [offset, value] of Object.entries(fields.bytes ?? {})) put(Number(offset), value)
  put(148, '        ')
  put(
    148,
    `${block
      .reduce((sum, byte) => sum + byte, 0)
      .toString(8)
      .padStart(6, '0')}\0 `,
  )
  return block
}

/** A PAX header for the next entry (`g`: a global one). Pairs, since a keyword may come twice. */
export function rawPax(pairs: readonly (readonly [string, string])[], flag = 'x'): Buffer {
  const records = pairs.map(([key, value]) => {
    const body = ` ${key}=${value}\n`
    let length = body.length + 1
    while (String(length).length + body.length !== length) length++
    return `${length}${body}`
  })
  return rawEntry({ name: 'PaxHeaders/f', flag }, records.join(''))
}

/** A long name (`L`) or link (`K`) of GNU tar for the next entry. */
export function rawGnuName(flag: 'L' | 'K', text: string): Buffer {
  return rawEntry({ name: '././@LongLink', flag, magic: 'ustar  \0' }, `${text}\0`)
}
