/** Numbers, sizes and times as the flags of instructions write them, with the messages of Go's readers. */
import { Complaint } from '../expand/complaint.ts'
import { quote } from '../../../base/text.ts'

const NANOSECONDS: Readonly<Record<string, bigint>> = {
  ns: 1n,
  us: 1000n,
  '\u00b5s': 1000n,
  '\u03bcs': 1000n,
  ms: 1_000_000n,
  s: 1_000_000_000n,
  m: 60_000_000_000n,
  h: 3_600_000_000_000n,
}
const MAX_INT64 = 2n ** 63n - 1n

/**
 * Reads a duration such as `1h2m3.5s` into nanoseconds.
 * @throws Complaint
 */
export function parseDuration(text: string): number {
  const sign = /^[-+]/.exec(text)?.[0] ?? ''
  let rest = text.slice(sign.length)
  if (rest === '0') return 0
  if (rest === '') throw invalidDuration(text)
  let total = 0n
  while (rest !== '') {
    const match = /^(\d*)(?:\.(\d*))?([^.\d]*)/.exec(rest)!
    const [whole, integer = '', fraction = '', unit = ''] = match
    if (integer === '' && fraction === '') throw invalidDuration(text)
    if (unit === '') throw new Complaint(`time: missing unit in duration ${quoteDuration(text)}`)
    const scale = Object.hasOwn(NANOSECONDS, unit) ? NANOSECONDS[unit]! : undefined
    if (scale === undefined) {
      throw new Complaint(`time: unknown unit ${quoteDuration(unit)} in duration ${quoteDuration(text)}`)
    }
    total += BigInt(integer || '0') * scale + fractionOf(fraction, scale)
    if (total > MAX_INT64 + (sign === '-' ? 1n : 0n)) throw invalidDuration(text)
    rest = rest.slice(whole.length)
  }
  return Number(sign === '-' ? -total : total)
}

// In floating point, as Go does it, so that the last digit is the same.
function fractionOf(digits: string, scale: bigint): bigint {
  const kept = digits.slice(0, 18)
  return BigInt(Math.trunc(Number(kept) * (Number(scale) / 10 ** kept.length)))
}

function invalidDuration(text: string): Complaint {
  return new Complaint(`time: invalid duration ${quoteDuration(text)}`)
}

// This package of Go quotes bytes, not characters.
function quoteDuration(text: string): string {
  let result = '"'
  for (const byte of Buffer.from(text, 'utf8')) {
    if (byte === 0x22 || byte === 0x5c) result += `\\${String.fromCharCode(byte)}`
    else if (byte < 0x20 || byte >= 0x80) result += `\\x${byte.toString(16).padStart(2, '0')}`
    else result += String.fromCharCode(byte)
  }
  return `${result}"`
}

/**
 * Reads a 32-bit decimal number with a sign.
 * @throws Complaint
 */
export function parseInt32(text: string): number {
  if (!/^[-+]?\d+$/.test(text)) throw new Complaint(`strconv.ParseInt: parsing ${quote(text)}: invalid syntax`)
  const value = Number(text)
  if (value > 0x7fff_ffff || value < -0x8000_0000) {
    throw new Complaint(`strconv.ParseInt: parsing ${quote(text)}: value out of range`)
  }
  return value
}

/** Reads an unsigned 32-bit number of the given base; undefined when the text is none. */
export function parseUint32(text: string, base: 8 | 10): number | undefined {
  if (!(base === 8 ? /^[0-7]+$/ : /^\d+$/).test(text)) return undefined
  const value = Number.parseInt(text, base)
  return value <= 0xffff_ffff ? value : undefined
}

const BINARY_UNITS = 'kmgtp'

/**
 * Reads a size such as `64m` or `1.5GiB` into bytes (units are powers of 1024); undefined when the text is none. What is
 * more than any memory counts as the largest exact number: BuildKit, whose integers overflow there, sets no limit then.
 */
export function parseSize(text: string): number | undefined {
  const separator = /[\d. ](?=[^\d. ]*$)/.exec(text)
  if (separator === null) return undefined
  const end = separator.index + 1
  const number = parseFloat64(text.slice(0, separator[0] === ' ' ? separator.index : end))
  const unit = text.slice(end).toLowerCase()
  if (number === undefined || number < 0) return undefined
  if (unit === '' || unit === 'b') return wholeBytes(number)
  if (!/^[kmgtp](?:b|ib)?$/.test(unit)) return undefined
  return wholeBytes(number * 1024 ** (BINARY_UNITS.indexOf(unit[0]!) + 1))
}

function wholeBytes(bytes: number): number {
  return Math.min(Math.trunc(bytes), Number.MAX_SAFE_INTEGER)
}

function parseFloat64(text: string): number | undefined {
  if (!/^[-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?$/i.test(text)) return undefined
  const value = Number(text)
  return Number.isFinite(value) ? value : undefined
}
