import { fromByteString } from '../base/byte-string.ts'
import type { TarEntry } from './tar-entry.ts'

/** What a tar has besides the contents of its files, so that it can be put together again byte by byte (vbatts/tar-split). */
export interface TarSplit {
  /** The bytes of the tar from front to back; `entry` where they are the content of a file. */
  add(bytes: Buffer, start: number, entry: TarEntry | undefined): void
  /** A line of JSON for each header and each file. */
  finish(): Buffer
}

/** @param entries all of the tar, in its order */
export function createTarSplit(entries: readonly TarEntry[]): TarSplit {
  const lines: string[] = []
  let position = 0
  let next = 0
  let segment: Buffer[] = []
  let crc = createCrc64()
  const line = (record: object): void => {
    lines.push(`${JSON.stringify({ ...record, position })}\n`)
    position++
  }
  const endSegment = (): void => {
    if (segment.length > 0) line({ type: 2, payload: Buffer.concat(segment).toString('base64') })
    segment = []
  }
  const addHeaders = (bytes: Buffer, start: number): void => {
    let from = 0
    // Each header is followed by its file, also by one that is empty or has no content.
    for (; next < entries.length && entries[next]!.dataOffset <= start + bytes.length; next++) {
      const entry = entries[next]!
      const to = entry.dataOffset - start
      if (to > from) segment.push(bytes.subarray(from, to))
      from = Math.max(from, to)
      if (entry.type === 'file' && entry.size > 0) break
      endSegment()
      line({ type: 1, ...nameOf(entry), payload: null })
    }
    if (from < bytes.length) segment.push(bytes.subarray(from))
  }
  return {
    add(bytes, start, entry) {
      if (entry === undefined) return addHeaders(bytes, start)
      if (start === entry.dataOffset) {
        endSegment()
        crc = createCrc64()
      }
      crc.update(bytes)
      if (start + bytes.length < entry.dataOffset + entry.size) return
      line({ type: 1, ...nameOf(entry), size: entry.size, payload: crc.digest().toString('base64') })
      next++
    },
    finish() {
      endSegment()
      return Buffer.from(lines.join(''))
    },
  }
}

function nameOf({ name }: TarEntry): object {
  const text = fromByteString(name)
  const isText = Buffer.from(text, 'utf8').toString('latin1') === name
  return isText ? { name: text } : { name_raw: Buffer.from(name, 'latin1').toString('base64') }
}

interface Crc64 {
  update(bytes: Uint8Array): void
  digest(): Buffer
}

/** The reflected polynomial of ISO 3309 has bits in its upper half alone, and so has the table. */
const UPPER = Uint32Array.from({ length: 256 }, (_, index) => tableEntry(index).high)
const LOWER = Uint32Array.from({ length: 256 }, (_, index) => tableEntry(index).low)

function tableEntry(index: number): { high: number; low: number } {
  let [high, low] = [0, index]
  for (let bit = 0; bit < 8; bit++) {
    const isOdd = (low & 1) === 1
    low = ((low >>> 1) | ((high & 1) << 31)) >>> 0
    high = ((high >>> 1) ^ (isOdd ? 0xd8_00_00_00 : 0)) >>> 0
  }
  return { high, low }
}

/** CRC-64 as Go's hash/crc64 with the ISO table, in two halves: numbers of 64 bits are slow here. */
function createCrc64(): Crc64 {
  let [high, low] = [0xff_ff_ff_ff, 0xff_ff_ff_ff]
  return {
    update(bytes) {
      let [upper, lower] = [high, low]
      for (let at = 0; at < bytes.length; at++) {
        const index = (lower ^ bytes[at]!) & 0xff
        lower = ((lower >>> 8) | (upper << 24)) ^ LOWER[index]!
        upper = (upper >>> 8) ^ UPPER[index]!
      }
      high = upper >>> 0
      low = lower >>> 0
    },
    digest() {
      const sum = Buffer.alloc(8)
      sum.writeUInt32BE(~high >>> 0, 0)
      sum.writeUInt32BE(~low >>> 0, 4)
      return sum
    },
  }
}
