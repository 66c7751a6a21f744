import { CallError } from './errors.ts'
import { compareBytes, type GoValue, inside, isInt, isNil, isUint, type Maybe, ofBool } from './values.ts'
import { formatValue, noFlags, showValue } from './print-value.ts'
import type { GoFunction } from './functions.ts'

type Kind = 'bool' | 'int' | 'uint' | 'float' | 'string' | undefined

function basicKind(value: Maybe): Kind {
  if (value === undefined) return undefined
  if (isInt(value)) return 'int'
  if (isUint(value)) return 'uint'
  const { kind } = value.type
  return kind === 'float64' ? 'float' : kind === 'bool' || kind === 'string' ? kind : undefined
}

const isWhole = (kind: Kind) => kind === 'int' || kind === 'uint'
const badType = () => new CallError('invalid type for comparison')
const incompatible = (a: GoValue, b: GoValue) =>
  new CallError(`incompatible types for comparison: ${a.type.name} and ${b.type.name}`)

function areEqual(first: Maybe, others: readonly Maybe[]): boolean {
  if (others.length === 0) throw new CallError('missing argument for comparison')
  const a = inside(first)
  return others.some((other) => isEqual(a, inside(other)))
}

function isEqual(a: Maybe, b: Maybe): boolean {
  const [kindA, kindB] = [basicKind(a), basicKind(b)]
  if (kindA !== kindB && !(isWhole(kindA) && isWhole(kindB))) {
    if (a !== undefined && b !== undefined) throw incompatible(a, b)
    return false
  }
  if (kindA !== undefined) return a?.value === b?.value
  return isEqualWhole(a, b)
}

/** Of slices, maps, structs and pointers, and of what is missing. */
function isEqualWhole(a: Maybe, b: Maybe): boolean {
  if (a !== undefined && b !== undefined && a.type.kind !== b.type.kind)
    throw new CallError(
      `non-comparable types ${formatValue(a, 's', noFlags)}: ${a.type.name}, ${b.type.name}: ${showValue(b)}`,
    )
  if (isNil(a) || isNil(b)) return isNil(a) === isNil(b)
  const { kind } = (b as GoValue).type
  if (kind === 'slice' || kind === 'map')
    throw new CallError(`non-comparable type ${formatValue(b, 's', noFlags)}: ${(b as GoValue).type.name}`)
  return a?.value === b?.value
}

function isLess(first: Maybe, second: Maybe): boolean {
  const [a, b] = [inside(first), inside(second)]
  const [kindA, kindB] = [basicKind(a), basicKind(b)]
  if (a === undefined || b === undefined || kindA === undefined || kindB === undefined) throw badType()
  if (kindA !== kindB && !(isWhole(kindA) && isWhole(kindB))) throw incompatible(a, b)
  if (kindA === 'bool') throw badType()
  if (kindA === 'string') return compareBytes(a.value as string, b.value as string) < 0
  return (a.value as bigint) < (b.value as bigint)
}

const two = ['value', 'value'] as const
const relation = (holds: (a: Maybe, b: Maybe) => boolean): GoFunction => ({
  parameters: two,
  call: ([a, b]) => ofBool(holds(a, b)),
})
const isLessOrEqual = (a: Maybe, b: Maybe) => isLess(a, b) || areEqual(a, [b])

/** `eq`, with several others one of them; `ne`, `lt`, `le`, `gt`, `ge`. Values of other kinds cannot be compared, as in Go. */
export const comparisons: Readonly<Record<string, GoFunction>> = {
  eq: { parameters: ['value'], rest: 'value', call: ([first, ...others]) => ofBool(areEqual(first, others)) },
  ne: relation((a, b) => !areEqual(a, [b])),
  lt: relation(isLess),
  le: relation(isLessOrEqual),
  gt: relation((a, b) => !isLessOrEqual(a, b)),
  ge: relation((a, b) => !isLess(a, b)),
}
