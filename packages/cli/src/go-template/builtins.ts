import { comparisons } from './compare.ts'
import { CallError } from './errors.ts'
import { escapers } from './escapers.ts'
import type { Functions } from './functions.ts'
import { print, printf, println } from './printf.ts'
import {
  elementAt,
  entryOf,
  GoValue,
  indirect,
  inside,
  isInt,
  isTrue,
  isUint,
  lengthOf,
  type Maybe,
  ofBool,
  ofInt,
  ofString,
  readMember,
} from './values.ts'
import { fromBytes } from './bytes.ts'

/** The functions of Go's text/template; `and` and `or` are the evaluator's, as they may leave arguments unread. */
export const builtins: Functions = {
  ...comparisons,
  ...escapers,
  // Without values of functions there is nothing to call.
  call: {
    parameters: ['value'],
    rest: 'value',
    call: ([given]) => {
      const value = inside(given)
      if (value === undefined) throw new CallError('call of nil')
      throw new CallError(`non-function of type ${value.type.name}`)
    },
  },
  index: { parameters: ['value'], rest: 'value', call: ([item, ...keys]) => index(item, keys) },
  len: { parameters: ['value'], call: ([item]) => ofInt(length(item)) },
  not: { parameters: ['value'], call: ([item]) => ofBool(!isTrue(item)) },
  print: { parameters: [], rest: 'any', call: (values) => ofString(print(values)) },
  printf: {
    parameters: ['string'],
    rest: 'any',
    call: ([format, ...values]) => ofString(printf((format as GoValue).value as string, values)),
  },
  println: { parameters: [], rest: 'any', call: (values) => ofString(println(values)) },
  slice: { parameters: ['value'], rest: 'value', call: ([item, ...bounds]) => slice(item, bounds) },
}

function length(item: Maybe): number {
  const { value, isNil } = indirect(item)
  if (isNil) throw new CallError('len of nil pointer')
  if (value === undefined) throw new CallError('reflect: call of reflect.Value.Type on zero Value')
  if (!['slice', 'map', 'string'].includes(value.type.kind)) throw new CallError(`len of type ${value.type.name}`)
  return lengthOf(value)
}

function index(first: Maybe, keys: readonly Maybe[]): Maybe {
  let item = inside(first)
  if (item === undefined) throw new CallError('index of untyped nil')
  for (const given of keys) {
    const key = inside(given)
    const { value, isNil } = indirect(item)
    if (isNil || value === undefined) throw new CallError('index of nil pointer')
    if (value.type.kind === 'map') item = entryOf(value, keyText(key)) ?? readMember(value.type.element, undefined)
    else if (value.type.kind === 'slice' || value.type.kind === 'string') item = at(value, key)
    else throw new CallError(`can't index item of type ${value.type.name}`)
  }
  return item
}

function keyText(key: Maybe): string {
  if (key === undefined) throw new CallError('value is nil; should be of type string')
  if (key.type.name !== 'string') throw new CallError(`value has type ${key.type.name}; should be string`)
  return fromBytes(key.value as string)
}

function at(value: GoValue, key: Maybe): GoValue {
  const length = lengthOf(value)
  const position = bound(key, length)
  if (position < length) return elementAt(value, position)
  throw new CallError(`reflect: ${value.type.kind} index out of range`)
}

function bound(key: Maybe, most: number): number {
  if (key === undefined) throw new CallError('cannot index slice/array with nil')
  if (!isInt(key) && !isUint(key)) throw new CallError(`cannot index slice/array with type ${key.type.name}`)
  const position = key.value as bigint
  if (position < 0n || position > BigInt(most)) throw new CallError(`index out of range: ${position}`)
  return Number(position)
}

function slice(first: Maybe, bounds: readonly Maybe[]): GoValue {
  const item = inside(first)
  if (item === undefined) throw new CallError('slice of untyped nil')
  const { value, isNil } = indirect(item)
  if (isNil || value === undefined) throw new CallError('slice of nil pointer')
  if (bounds.length > 3) throw new CallError(`too many slice indexes: ${bounds.length}`)
  const { kind } = value.type
  if (kind === 'string' && bounds.length === 3) throw new CallError('cannot 3-index slice a string')
  if (kind !== 'string' && kind !== 'slice') throw new CallError(`can't slice item of type ${value.type.name}`)
  const length = lengthOf(value)
  const [from = 0, to = length, most = length] = bounds.map((one) => bound(one, length))
  if (from > to) throw new CallError(`invalid slice index: ${from} > ${to}`)
  if (to > most) throw new CallError(`invalid slice index: ${to} > ${most}`)
  const whole = value.value as string | readonly unknown[] | null
  return new GoValue(value.type, whole === null ? null : whole.slice(from, to))
}
