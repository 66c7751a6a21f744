import type { NumberLiteral } from './ast.ts'
import { CallError } from './errors.ts'
import { quote, unquoteChar } from './quote.ts'

const maxInt = 2n ** 63n - 1n
const maxUint = 2n ** 64n - 1n

/** Reads a number as Go's syntax has it: prefixes, underscores between digits, hexadecimal floats. @throws CallError */
export function readNumber(text: string): NumberLiteral {
  if (text.endsWith('i')) throw new CallError(`complex numbers are not supported: ${quote(text)}`)
  const value = readInteger(text)
  if (value !== undefined && value <= maxUint && value >= -maxInt - 1n) {
    const isInt = value <= maxInt
    // A sign is no part of an unsigned number, but nothing is nothing.
    const isUint = value === 0n || !/^[+-]/.test(text)
    return { text, int: isInt ? value : undefined, uint: isUint ? value : undefined, float: Number(value) }
  }
  const float = readFloat(text)
  if (float === undefined) throw new CallError(`illegal number syntax: ${quote(text)}`)
  if (!/[.eEpP]/.test(text)) throw new CallError(`integer overflow: ${quote(text)}`)
  const whole = Number.isInteger(float) ? BigInt(float) : undefined
  return {
    text,
    int: whole !== undefined && whole <= maxInt && whole >= -maxInt - 1n ? whole : undefined,
    uint: whole !== undefined && whole <= maxUint && whole >= 0n ? whole : undefined,
    float,
  }
}

/** A character between `'` is the number of its code point. @throws CallError */
export function readCharacter(text: string): NumberLiteral {
  const point = BigInt(unquoteChar(text))
  return { text, int: point, uint: point, float: Number(point) }
}

const integers = [
  { pattern: /^0[xX](?:_?[\da-fA-F])+$/, prefix: '0x', skip: 2 },
  { pattern: /^0[oO](?:_?[0-7])+$/, prefix: '0o', skip: 2 },
  { pattern: /^0[bB](?:_?[01])+$/, prefix: '0b', skip: 2 },
  { pattern: /^0(?:_?[0-7])+$/, prefix: '0o', skip: 1 },
  { pattern: /^(?:0|[1-9](?:_?\d)*)$/, prefix: '', skip: 0 },
]

function readInteger(text: string): bigint | undefined {
  const digits = text.replace(/^[+-]/, '')
  const found = integers.find(({ pattern }) => pattern.test(digits))
  if (found === undefined) return undefined
  const value = BigInt(found.prefix + digits.slice(found.skip).replaceAll('_', ''))
  return text.startsWith('-') ? -value : value
}

function readFloat(text: string): number | undefined {
  // An underscore stands between digits of a number with a prefix alone.
  const hex = /^([+-]?)0[xX]_?([\da-fA-F_]*)\.?([\da-fA-F_]*)[pP]([+-]?\d+)$/.exec(text)
  if (hex !== null) {
    const [, sign, whole = '', part = '', exponent] = hex
    const digits = (whole + part).replaceAll('_', '')
    if (digits === '') return undefined
    const scaled = Number(BigInt(`0x${digits}`)) * 2 ** (Number(exponent) - part.replaceAll('_', '').length * 4)
    return sign === '-' ? -scaled : scaled
  }
  if (!/^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/.test(text)) return undefined
  const value = Number(text)
  return Number.isFinite(value) ? value : undefined
}
