import type { ByteString } from '../base/byte-string.ts'
import { BuilderError } from '../base/errors.ts'
import { BLOCK_BYTES } from './header.ts'

/** What one header block says, before PAX and GNU headers that came before it are applied. */
export interface RawHeader {
  readonly flag: string
  readonly name: ByteString
  readonly link: ByteString
  readonly mode: number
  readonly uid: number
  readonly gid: number
  readonly size: number
  readonly mtimeSec: number
  readonly devMajor: number
  readonly devMinor: number
}

const NAME_BYTES = 100
const PREFIX_BYTES = 155
const STAR_PREFIX_BYTES = 131
/** Where ustar, star and GNU have their devices, prefix and times; `star` says so in its last four bytes. */
const DEV_MAJOR = 329
const DEV_MINOR = 337
const PREFIX = 345
const GNU_TIMES = [345, 357]
const STAR_TIMES = [476, 488]
const STAR_TRAILER = 508
/** As much of a device's number as mknod(2) takes: what it makes of one with more may be an overlay's whiteout. */
const MAJOR_BITS = 0xfff
const MINOR_BITS = 0xfffff

/**
 * Decodes a header block: v7, ustar, star, GNU. What is valid is what Go's archive/tar takes, since every builder and
 * runtime of the field reads with it. Throws OCI_LAYER_INVALID for a wrong checksum or number.
 */
export function readHeader(block: Buffer, offset: number): RawHeader {
  if (!hasValidChecksum(block, offset)) throw invalid('has a wrong checksum')
  const magic = block.toString('latin1', offset + 257, offset + 265)
  const isUstar = magic.startsWith('ustar\0')
  const isGnu = magic === 'ustar  \0'
  const isStar = isUstar && block.toString('latin1', offset + STAR_TRAILER, offset + BLOCK_BYTES) === 'tar\0'
  const isV7 = !isUstar && !isGnu
  if (isStar) for (const at of STAR_TIMES) readNumber(block, offset + at, 12, 'time')
  const name = readText(block, offset, NAME_BYTES)
  const prefix = isV7 ? '' : isGnu ? readGnuPrefix(block, offset) : readPrefix(block, offset, isStar)
  return {
    flag: String.fromCharCode(block[offset + 156]!),
    name: prefix === '' ? name : `${prefix}/${name}`,
    link: readText(block, offset + 157, NAME_BYTES),
    mode: readNumber(block, offset + 100, 8, 'mode') & 0o7777,
    uid: toId(readNumber(block, offset + 108, 8, 'uid')),
    gid: toId(readNumber(block, offset + 116, 8, 'gid')),
    size: toSize(readNumber(block, offset + 124, 12, 'size')),
    mtimeSec: readNumber(block, offset + 136, 12, 'mtime'),
    devMajor: isV7 ? 0 : toId(readNumber(block, offset + DEV_MAJOR, 8, 'devmajor')) & MAJOR_BITS,
    devMinor: isV7 ? 0 : toId(readNumber(block, offset + DEV_MINOR, 8, 'devminor')) & MINOR_BITS,
  }
}

/** The kernel takes the low 32 bits of a number that somebody made larger, or negative. */
export function toId(value: number): number {
  return Number.isSafeInteger(value) ? value >>> 0 : Number(BigInt.asUintN(32, BigInt(value)))
}

/** A size that can be counted with: so much never comes. Throws OCI_LAYER_INVALID. */
export function toSize(value: number): number {
  if (value < 0) throw invalid('holds an invalid number (size)')
  return Math.min(value, Number.MAX_SAFE_INTEGER)
}

function readPrefix(block: Buffer, offset: number, isStar: boolean): ByteString {
  return readText(block, offset + PREFIX, isStar ? STAR_PREFIX_BYTES : PREFIX_BYTES)
}

/** GNU has times where ustar has the prefix; old writers of Go put a prefix there all the same (golang.org/issue/12594). */
function readGnuPrefix(block: Buffer, offset: number): ByteString {
  const hasTimes = GNU_TIMES.every((at) => block[offset + at] === 0 || isNumber(block, offset + at, 12))
  if (hasTimes) return ''
  const prefix = readText(block, offset + PREFIX, PREFIX_BYTES)
  for (let i = 0; i < prefix.length; i++) if (prefix.charCodeAt(i) > 127) return ''
  return prefix
}

/** Old tars summed signed bytes: both sums are right. */
function hasValidChecksum(block: Buffer, offset: number): boolean {
  let sum = 8 * 32
  let negative = 0
  for (let i = 0; i < BLOCK_BYTES; i++) {
    if (i >= 148 && i < 156) continue
    const byte = block[offset + i]!
    sum += byte
    if (byte > 127) negative += 256
  }
  const stored = readOctal(block, offset + 148, 8)
  return stored === sum || stored === sum - negative
}

function readText(block: Buffer, offset: number, length: number): ByteString {
  const nul = block.indexOf(0, offset)
  return block.toString('latin1', offset, nul < 0 || nul > offset + length ? offset + length : nul)
}

function readNumber(block: Buffer, offset: number, length: number, field: string): number {
  const isBinary = (block[offset]! & 0x80) !== 0
  const value = isBinary ? readBase256(block, offset, length) : readOctal(block, offset, length)
  if (value === undefined) throw invalid(`holds an invalid number (${field})`)
  return value
}

function isNumber(block: Buffer, offset: number, length: number): boolean {
  const isBinary = (block[offset]! & 0x80) !== 0
  return (isBinary ? readBase256(block, offset, length) : readOctal(block, offset, length)) !== undefined
}

/** Digits between spaces and NULs; what stands behind a NUL is not looked at. Nothing at all is zero. */
function readOctal(block: Buffer, offset: number, length: number): number | undefined {
  const end = offset + length
  let i = offset
  while (i < end && isBlank(block[i]!)) i++
  if (i === end) return 0
  let value = 0
  const first = i
  for (; i < end; i++) {
    const digit = block[i]! - 48
    if (digit < 0 || digit > 7) break
    value = value * 8 + digit
  }
  if (i === first) return undefined
  if (i === end || block[i] === 0) return value
  while (i < end && isBlank(block[i]!)) i++
  return i === end ? value : undefined
}

function isBlank(byte: number): boolean {
  return byte === 32 || byte === 0
}

/** GNU's binary numbers: big-endian two's complement below the marking bit, 63 bits at most. */
function readBase256(block: Buffer, offset: number, length: number): number | undefined {
  const isNegative = (block[offset]! & 0x40) !== 0
  const first = isNegative ? BigInt(block[offset]! | 0x80) - 256n : BigInt(block[offset]! & 0x7f)
  let value = first
  for (let i = offset + 1; i < offset + length; i++) value = value * 256n + BigInt(block[i]!)
  return BigInt.asIntN(64, value) === value ? Number(value) : undefined
}

function invalid(why: string): BuilderError {
  return new BuilderError('OCI_LAYER_INVALID', `a header of the tar ${why}`)
}
