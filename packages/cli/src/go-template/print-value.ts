import { countRunes, isPrintable, runeBytes, runesOf, toBytes } from './bytes.ts'
import { floatText } from './number-text.ts'
import { canBackquote, quote } from './quote.ts'
import {
  elementAt,
  elementOf,
  entryOf,
  type GoValue,
  isUint,
  keysOf,
  lengthOf,
  type Maybe,
  readMember,
} from './values.ts'
import { isIntKind, isUintKind, stringType, type StructType } from './types.ts'

/** The flags of one verb of `printf`. */
export interface Flags {
  readonly plus: boolean
  readonly minus: boolean
  readonly sharp: boolean
  readonly space: boolean
  readonly zero: boolean
  /** `%+v`: names of fields. */
  readonly names: boolean
  /** `%#v`: as Go's source has it. */
  readonly source: boolean
  readonly width: number | undefined
  readonly precision: number | undefined
}

export const noFlags: Flags = {
  plus: false,
  minus: false,
  sharp: false,
  space: false,
  zero: false,
  names: false,
  source: false,
  width: undefined,
  precision: undefined,
}

/** A value as `fmt` prints it with one verb, as a byte string; no value is `<nil>`. */
export function formatValue(given: Maybe, verb: string, flags: Flags): string {
  const value = given?.type.kind === 'interface' ? elementOf(given) : given
  if (value === undefined) return verb === 'v' || verb === 'T' ? pad('<nil>', flags) : badVerb(undefined, verb, flags)
  if (verb === 'T') return pad(cut(toBytes(value.type.name), flags), flags)
  return formatAny(value, verb, flags, 0)
}

/** As `print` and an action show it. */
export function showValue(value: Maybe): string {
  return formatValue(value, 'v', noFlags)
}

function formatAny(value: GoValue, verb: string, flags: Flags, depth: number): string {
  if (verb === 'w' || verb === 'p') return badVerb(value, verb, flags)
  const { type } = value
  switch (type.kind) {
    case 'bool':
      return verb === 't' || verb === 'v' ? pad(String(value.value), flags) : badVerb(value, verb, flags)
    case 'string':
      return formatString(value, shownText(value, verb, flags), verb, flags)
    case 'float64':
      return formatFloat(value, verb, flags)
    case 'map':
      return formatMap(value, verb, flags, depth)
    case 'slice':
      return formatSlice(value, verb, flags, depth)
    case 'struct':
      return formatStruct(value, type, verb, flags, depth)
    case 'interface':
      return formatInterface(value, verb, flags, depth)
    case 'pointer':
      return formatPointer(value, verb, flags, depth)
    default: {
      const isShown = type.show !== undefined && !flags.source && 'vsxXq'.includes(verb)
      return isShown
        ? formatString(value, toBytes((type.show as (one: unknown) => string)(value.value)), verb, flags)
        : formatInteger(value, verb, flags)
    }
  }
}

function shownText({ type, value }: GoValue, verb: string, flags: Flags): string {
  const show = 'show' in type && !flags.source && 'vsxXq'.includes(verb) ? type.show : undefined
  return show === undefined ? (value as string) : toBytes((show as (one: unknown) => string)(value))
}

function badVerb(value: Maybe, verb: string, flags: Flags): string {
  if (value === undefined) return `%!${verb}(<nil>)`
  return `%!${verb}(${value.type.name}=${formatAny(value, 'v', flags, 0)})`
}

export function pad(text: string, flags: Flags): string {
  const missing = (flags.width ?? 0) - countRunes(text)
  if (missing <= 0) return text
  return flags.minus ? text + ' '.repeat(missing) : (flags.zero ? '0' : ' ').repeat(missing) + text
}

function cut(text: string, { precision }: Flags): string {
  if (precision === undefined) return text
  let count = 0
  for (const { at } of runesOf(text)) if (++count > precision) return text.slice(0, at)
  return text
}

function formatString(value: GoValue, text: string, verb: string, flags: Flags): string {
  if (verb === 's' || (verb === 'v' && !flags.source)) return pad(cut(text, flags), flags)
  if (verb === 'q' || verb === 'v') {
    const kept = cut(text, flags)
    // `%#v` has lost its `#` on the way: only `%#q` prefers backquotes.
    if (flags.sharp && canBackquote(kept)) return pad(`\`${kept}\``, flags)
    return pad(quote(kept, { isAscii: flags.plus }), flags)
  }
  return verb === 'x' || verb === 'X' ? hexBytes(text, verb, flags) : badVerb(value, verb, flags)
}

function hexBytes(text: string, verb: 'x' | 'X', flags: Flags): string {
  const kept = text.slice(0, flags.precision)
  const digits = Array.from(kept, (char) => char.charCodeAt(0).toString(16).padStart(2, '0'))
  const prefix = flags.sharp && kept !== '' ? '0x' : ''
  const joined = flags.space ? digits.map((pair) => prefix + pair).join(' ') : prefix + digits.join('')
  return pad(verb === 'X' ? joined.toUpperCase() : joined, flags)
}

const bases: Readonly<Record<string, number>> = { v: 10, d: 10, b: 2, o: 8, O: 8, x: 16, X: 16 }

function formatInteger(value: GoValue, verb: string, flags: Flags): string {
  const number = value.value as bigint
  if (verb === 'c') return pad(runeBytes(Number(number)), flags)
  if (verb === 'q') {
    const char = runeBytes(number > 0x10_ff_ffn || number < 0n ? 0xff_fd : Number(number))
    return pad(quote(char, { mark: "'", isAscii: flags.plus }), flags)
  }
  if (verb === 'U') return pad(unicodeText(BigInt.asUintN(64, number), flags), { ...flags, zero: false })
  if (verb === 'v' && flags.source && isUint(value)) return integerText(number, 16, 'v', { ...flags, sharp: true })
  const base = bases[verb]
  return base === undefined ? badVerb(value, verb, flags) : integerText(number, base, verb, flags)
}

function unicodeText(number: bigint, flags: Flags): string {
  const name = `U+${number
    .toString(16)
    .toUpperCase()
    .padStart(Math.max(4, flags.precision ?? 0), '0')}`
  const isShown = flags.sharp && number <= 0x10_ff_ffn && isPrintable(Number(number))
  return isShown ? `${name} '${runeBytes(Number(number))}'` : name
}

function integerText(number: bigint, base: number, verb: string, flags: Flags): string {
  const { width, precision } = flags
  if (precision === 0 && number === 0n) return ' '.repeat(width ?? 0)
  const isNegative = number < 0n
  let digits = (isNegative ? -number : number).toString(base)
  const hasSign = isNegative || flags.plus || flags.space
  if (precision !== undefined) digits = digits.padStart(precision, '0')
  else if (flags.zero && !flags.minus && width !== undefined) digits = digits.padStart(width - (hasSign ? 1 : 0), '0')
  if (verb === 'X') digits = digits.toUpperCase()
  if (flags.sharp && base === 2) digits = `0b${digits}`
  if (flags.sharp && base === 8 && !digits.startsWith('0')) digits = `0${digits}`
  if (flags.sharp && base === 16) digits = (verb === 'X' ? '0X' : '0x') + digits
  if (verb === 'O') digits = `0o${digits}`
  const sign = isNegative ? '-' : flags.plus ? '+' : flags.space ? ' ' : ''
  return pad(sign + digits, { ...flags, zero: false })
}

const floatVerbs: Readonly<Record<string, number>> = {
  v: -1,
  b: -1,
  g: -1,
  G: -1,
  x: -1,
  X: -1,
  f: 6,
  F: 6,
  e: 6,
  E: 6,
}

function formatFloat(value: GoValue, verb: string, flags: Flags): string {
  const usual = floatVerbs[verb]
  if (usual === undefined) return badVerb(value, verb, flags)
  const precision = flags.precision ?? usual
  const letter = verb === 'v' ? 'g' : verb === 'F' ? 'f' : verb
  let text = floatText(value.value as number, letter, precision)
  let sign = text.startsWith('-') ? '-' : '+'
  text = text.replace(/^[+-]/, '')
  if (flags.space && sign === '+' && !flags.plus) sign = ' '
  if (text === 'Inf' || text === 'NaN') {
    const isBare = text === 'NaN' ? !flags.space && !flags.plus : sign === '+' && !flags.plus
    return pad(isBare ? text : sign + text, { ...flags, zero: false })
  }
  if (flags.sharp && verb !== 'b') text = keepPoint(text, letter, precision)
  if (!flags.plus && sign === '+') return pad(text, flags)
  const missing = (flags.width ?? 0) - text.length - 1
  if (flags.zero && !flags.minus && missing > 0) return sign + '0'.repeat(missing) + text
  return pad(sign + text, flags)
}

/** `%#g` keeps the point and the zeros behind it. */
function keepPoint(text: string, verb: string, precision: number): string {
  let digits = ['v', 'g', 'G', 'x'].includes(verb) ? (precision === -1 ? 6 : precision) : 0
  const tailAt = text.search(verb === 'x' || verb === 'X' ? /[pP]/ : /[eEpP]/)
  const [head, tail] = tailAt < 0 ? [text, ''] : [text.slice(0, tailAt), text.slice(tailAt)]
  const significant = head.replace('.', '').replace(/^0+/, '')
  digits -= significant.length
  if (head === '0') digits--
  return head + (head.includes('.') ? '' : '.') + '0'.repeat(Math.max(0, digits)) + tail
}

function formatMap(value: GoValue, verb: string, flags: Flags, depth: number): string {
  if (flags.source && value.value === null) return `${value.type.name}(nil)`
  const entries = keysOf(value).map((key) => {
    const name = formatString(readMember(stringType, key), toBytes(key), verb, flags)
    return `${name}:${formatInner(entryOf(value, key), verb, flags, depth)}`
  })
  return flags.source ? `${value.type.name}{${entries.join(', ')}}` : `map[${entries.join(' ')}]`
}

function formatInner(value: Maybe, verb: string, flags: Flags, depth: number): string {
  if (value === undefined) return verb === 'v' ? '<nil>' : badVerb(undefined, verb, flags)
  return formatAny(value, verb, flags, depth + 1)
}

function formatSlice(value: GoValue, verb: string, flags: Flags, depth: number): string {
  if (flags.source && value.value === null) return `${value.type.name}(nil)`
  const items = Array.from({ length: lengthOf(value) }, (_, at) =>
    formatInner(elementAt(value, at), verb, flags, depth),
  )
  return flags.source ? `${value.type.name}{${items.join(', ')}}` : `[${items.join(' ')}]`
}

function formatStruct(value: GoValue, type: StructType, verb: string, flags: Flags, depth: number): string {
  const data = value.value as Readonly<Record<string, unknown>>
  const fields = Object.entries(type.fields).map(([name, field]) => {
    const member = readMember(field.type, field.isEmbedded ? data : data[field.member ?? name])
    const text = formatInner(member, verb, flags, depth)
    return flags.names || flags.source ? `${name}:${text}` : text
  })
  return flags.source ? `${type.name}{${fields.join(', ')}}` : `{${fields.join(' ')}}`
}

function formatInterface(value: GoValue, verb: string, flags: Flags, depth: number): string {
  const element = elementOf(value)
  if (element !== undefined) return formatAny(element, verb, flags, depth + 1)
  return flags.source ? `${value.type.name}(nil)` : '<nil>'
}

/** Go shows the address of a pointer below the top, which says nothing and is never the same: here it is what it points to. */
function formatPointer(value: GoValue, verb: string, flags: Flags, depth: number): string {
  const element = elementOf(value)
  if (element === undefined) {
    if (flags.source) return `(${value.type.name})(nil)`
    return verb === 'v' ? pad('<nil>', flags) : badNil(value, verb)
  }
  const { kind } = element.type
  const isPlain = isIntKind(kind) || isUintKind(kind) || kind === 'string' || kind === 'bool' || kind === 'float64'
  return `${isPlain ? '' : '&'}${formatAny(element, verb, flags, depth + 1)}`
}

function badNil(value: GoValue, verb: string): string {
  return `%!${verb}(${value.type.name}=<nil>)`
}
