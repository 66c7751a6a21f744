import { runeAt } from './bytes.ts'
import { formatValue, type Flags, noFlags, showValue } from './print-value.ts'
import { inside, isInt, isUint, type Maybe } from './values.ts'

/** Go takes no width or precision beyond it. */
const widest = 1_000_000

/** What `print` writes: a blank between two that are both no strings. */
export function print(values: readonly Maybe[]): string {
  let out = ''
  let wasString = true
  values.forEach((given, index) => {
    const isString = inside(given)?.type.kind === 'string'
    if (index > 0 && !isString && !wasString) out += ' '
    out += showValue(given)
    wasString = isString
  })
  return out
}

/** What `println` writes: a blank between each two, and the end of the line. */
export function println(values: readonly Maybe[]): string {
  return `${values.map(showValue).join(' ')}\n`
}

/** What is known while a format is read. */
interface State {
  readonly format: string
  readonly values: readonly Maybe[]
  at: number
  /** The value that comes next. */
  next: number
  isReordered: boolean
  isGoodIndex: boolean
  afterIndex: boolean
}

/** `fmt.Sprintf`: verbs, flags, `*`, indexes, and its notes of what is wrong. Byte strings in and out. */
export function printf(format: string, values: readonly Maybe[]): string {
  const state: State = {
    format,
    values,
    at: 0,
    next: 0,
    isReordered: false,
    isGoodIndex: true,
    afterIndex: false,
  }
  let out = ''
  while (state.at < format.length) {
    const percent = format.indexOf('%', state.at)
    out += format.slice(state.at, percent < 0 ? undefined : percent)
    if (percent < 0) break
    state.at = percent + 1
    out += readVerb(state)
  }
  if (state.isReordered || state.next >= values.length) return out
  const extra = values.slice(state.next).map((given) => {
    const value = inside(given)
    return value === undefined ? '<nil>' : `${value.type.name}=${showValue(value)}`
  })
  return `${out}%!(EXTRA ${extra.join(', ')})`
}

type Writable<T> = { -readonly [Key in keyof T]: T[Key] }
const flagNames = { '#': 'sharp', '0': 'zero', '+': 'plus', '-': 'minus', ' ': 'space' } as const

function readVerb(state: State): string {
  const { format, values } = state
  const flags: Writable<Flags> = { ...noFlags }
  state.isGoodIndex = true
  state.afterIndex = false
  for (; ; state.at++) {
    const name = flagNames[format[state.at] as keyof typeof flagNames]
    if (name === undefined) break
    flags[name] = true
  }
  readIndex(state)
  const notes = readWidth(state, flags) + readPrecision(state, flags)
  if (!state.afterIndex) readIndex(state)
  if (state.at >= format.length) return `${notes}%!(NOVERB)`
  const { size } = runeAt(format, state.at)
  const verb = format.slice(state.at, state.at + size)
  state.at += size
  if (verb === '%') return `${notes}%`
  if (!state.isGoodIndex) return `${notes}%!${verb}(BADINDEX)`
  if (state.next >= values.length) return `${notes}%!${verb}(MISSING)`
  if (verb === 'v') {
    flags.source = flags.sharp
    flags.names = flags.plus
    flags.sharp = false
    flags.plus = false
  }
  return notes + formatValue(values[state.next++], verb, flags)
}

function readWidth(state: State, flags: Writable<Flags>): string {
  if (state.format[state.at] === '*') {
    state.at++
    state.afterIndex = false
    const width = takeInteger(state)
    if (width === undefined) return '%!(BADWIDTH)'
    flags.width = Math.abs(width)
    if (width < 0) {
      flags.minus = true
      flags.zero = false
    }
    return ''
  }
  flags.width = readDigits(state)
  if (state.afterIndex && flags.width !== undefined) state.isGoodIndex = false
  return ''
}

function readPrecision(state: State, flags: Writable<Flags>): string {
  if (state.format[state.at] !== '.' || state.at + 1 >= state.format.length) return ''
  state.at++
  if (state.afterIndex) state.isGoodIndex = false
  readIndex(state)
  if (state.format[state.at] !== '*') {
    flags.precision = readDigits(state) ?? 0
    return ''
  }
  state.at++
  state.afterIndex = false
  const precision = takeInteger(state)
  flags.precision = precision === undefined || precision < 0 ? undefined : precision
  return flags.precision === undefined ? '%!(BADPREC)' : ''
}

function readDigits(state: State): number | undefined {
  const pattern = /\d+/y
  pattern.lastIndex = state.at
  const digits = pattern.exec(state.format)?.[0]
  if (digits === undefined) return undefined
  if (Number(digits) > widest) {
    // Go reads no further: what follows is lost.
    state.at = state.format.length
    return undefined
  }
  state.at += digits.length
  return Number(digits)
}

function takeInteger(state: State): number | undefined {
  const value = inside(state.values[state.next])
  if (state.next >= state.values.length) return undefined
  state.next++
  if (value === undefined || !(isInt(value) || isUint(value))) return undefined
  const number = Number(value.value)
  return Math.abs(number) > widest ? undefined : number
}

/** `[2]`: the value that comes next. */
function readIndex(state: State): void {
  state.afterIndex = false
  if (state.format[state.at] !== '[') return
  state.isReordered = true
  const end = state.format.indexOf(']', state.at)
  const digits = end < 0 ? '' : state.format.slice(state.at + 1, end)
  const index = /^\d+$/.test(digits) && Number(digits) <= widest ? Number(digits) - 1 : -1
  state.afterIndex = end >= 0 && /^\d+$/.test(digits)
  state.at = end < 0 ? state.at + 1 : end + 1
  if (index >= 0 && index < state.values.length) state.next = index
  else state.isGoodIndex = false
}
