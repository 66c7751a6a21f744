import { toBytes } from './bytes.ts'
import {
  boolType,
  byteType,
  float64Type,
  type GoType,
  intType,
  isIntKind,
  isUintKind,
  jsonNumberType,
  mapType,
  sliceType,
  stringType,
} from './types.ts'

/**
 * A value with its type. Texts are byte strings, integers are bigints, containers hold members that are read when they are asked
 * for: plain data, or values. `null` is the nil of a slice, map, pointer or interface.
 */
export class GoValue {
  readonly type: GoType
  readonly value: unknown

  constructor(type: GoType, value: unknown) {
    this.type = type
    this.value = value
  }
}

/** A value, or none at all: what the lookup of a key gives that is not there. */
export type Maybe = GoValue | undefined

export const ofBool = (value: boolean) => new GoValue(boolType, value)
export const ofInt = (value: bigint | number) => new GoValue(intType, BigInt(value))
/** Of a byte string. */
export const ofString = (value: string) => new GoValue(stringType, value)

/** A member of the data, read as its type; what is absent is the type's zero. */
export function readMember(type: GoType, data: unknown): GoValue {
  if (data instanceof GoValue) return data
  switch (type.kind) {
    case 'string':
      return new GoValue(type, typeof data === 'string' ? toBytes(data) : '')
    case 'bool':
      return new GoValue(type, data === true)
    case 'float64':
      return new GoValue(type, Number(data ?? 0))
    case 'struct':
      return new GoValue(type, data ?? {})
    case 'slice':
    case 'map':
    case 'pointer':
    case 'interface':
      return new GoValue(type, data ?? null)
    default:
      return new GoValue(type, typeof data === 'bigint' ? data : BigInt(Math.trunc(Number(data ?? 0))))
  }
}

/** What an interface or pointer holds; of nil nothing. */
export function elementOf({ type, value }: GoValue): Maybe {
  if (value === null || value === undefined) return undefined
  if (type.kind === 'pointer') return readMember(type.element, value)
  if (type.kind !== 'interface' || value instanceof GoValue) return value as GoValue
  if (typeof value === 'string') return readMember(stringType, value)
  if (typeof value === 'boolean') return readMember(boolType, value)
  if (typeof value === 'number' || typeof value === 'bigint') return readNumber(type.numbers, value)
  return readMember(Array.isArray(value) ? sliceType(type) : mapType(type), value)
}

function readNumber(numbers: 'json.Number' | 'float64' | 'int', value: number | bigint): GoValue {
  if (numbers === 'json.Number') return new GoValue(jsonNumberType, String(value))
  if (numbers === 'int' && (typeof value === 'bigint' || Number.isSafeInteger(value))) return ofInt(value)
  return new GoValue(float64Type, Number(value))
}

/** Through interfaces alone; a nil one is nothing. */
export function inside(value: Maybe): Maybe {
  return value?.type.kind === 'interface' ? elementOf(value) : value
}

/** Through pointers and interfaces, up to a nil one. */
export function indirect(value: Maybe): { value: Maybe; isNil: boolean } {
  let current = value
  while (current?.type.kind === 'pointer' || current?.type.kind === 'interface') {
    const element = elementOf(current)
    if (element === undefined) return { value: current, isNil: true }
    current = element
  }
  return { value: current, isNil: false }
}

export function isNil(value: Maybe): boolean {
  if (value === undefined) return true
  return value.value === null && ['slice', 'map', 'pointer', 'interface'].includes(value.type.kind)
}

/** Whether `if` takes it: not false, zero, empty or nil. */
export function isTrue(given: Maybe): boolean {
  const value = inside(given)
  if (value === undefined) return false
  const { kind } = value.type
  if (kind === 'struct') return true
  if (kind === 'pointer') return value.value !== null
  if (kind === 'slice' || kind === 'map' || kind === 'string') return lengthOf(value) > 0
  return kind === 'bool' ? value.value === true : Number(value.value) !== 0
}

/** Of a string (bytes), slice or map. */
export function lengthOf({ value }: GoValue): number {
  if (value === null) return 0
  if (typeof value === 'string' || Array.isArray(value)) return value.length
  return Object.keys(value as object).length
}

/** The element of a slice or the byte of a string. */
export function elementAt({ type, value }: GoValue, at: number): GoValue {
  if (type.kind !== 'slice') return new GoValue(byteType, BigInt((value as string).charCodeAt(at)))
  return readMember(type.element, (value as readonly unknown[])[at])
}

/** The entry of a map; `key` is a text as the data have it. */
export function entryOf({ type, value }: GoValue, key: string): Maybe {
  if (type.kind !== 'map' || value === null || !Object.hasOwn(value as object, key)) return undefined
  return readMember(type.element, (value as Readonly<Record<string, unknown>>)[key])
}

/** The keys of a map in the order of their bytes. */
export function keysOf({ value }: GoValue): readonly string[] {
  const keys = Object.keys(value ?? {})
  return keys
    .map((key) => ({ key, bytes: toBytes(key) }))
    .toSorted((a, b) => compareBytes(a.bytes, b.bytes))
    .map(({ key }) => key)
}

export function compareBytes(a: string, b: string): number {
  if (a === b) return 0
  return a < b ? -1 : 1
}

/** A field of a struct, its own or that of a struct embedded in it. */
export function fieldOf({ type, value }: GoValue, name: string): Maybe {
  if (type.kind !== 'struct') return undefined
  const own = Object.hasOwn(type.fields, name) ? type.fields[name] : undefined
  const data = value as Readonly<Record<string, unknown>>
  if (own !== undefined) {
    if (own.isEmbedded) return readMember(own.type, data)
    const member = own.member ?? name
    return readMember(own.type, Object.hasOwn(data, member) ? data[member] : undefined)
  }
  for (const field of Object.values(type.fields)) {
    if (!field.isEmbedded) continue
    const found = fieldOf(readMember(field.type, data), name)
    if (found !== undefined) return found
  }
  return undefined
}

export const isInt = ({ type }: GoValue) => isIntKind(type.kind)
export const isUint = ({ type }: GoValue) => isUintKind(type.kind)
