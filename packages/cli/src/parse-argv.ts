import { booleanWord } from './boolean-word.ts'
import type { CommandSpec, FlagSpec, ForeignWords, Input } from './flag-types.ts'
import { nearest, UsageError } from './usage-error.ts'

type FlagValue = string | boolean | readonly string[] | undefined

interface Reading {
  readonly spec: CommandSpec
  readonly values: Map<string, FlagValue>
  /** What follows. */
  readonly rest: string[]
  readonly foreign: ForeignWords | undefined
}

/**
 * Reads the arguments of one command by its table, with the rules of Docker's command line: flags and arguments in any
 * order, `--` ends the flags, `-qt x` is `-q -t x`, the last value of a single flag counts. Flags of other programs are
 * known where their words are given.
 * @throws UsageError
 */
export function parseArgv<C extends CommandSpec>(spec: C, argv: readonly string[], foreign?: ForeignWords): Input<C> {
  const args: string[] = []
  const reading: Reading = { spec, values: new Map(), rest: [...argv], foreign }
  const { rest } = reading
  while (rest.length > 0) {
    const word = rest.shift() as string
    if (word === '--') {
      args.push(...rest)
      break
    }
    if (word.startsWith('--')) readLong(reading, word)
    else if (word.startsWith('-') && word !== '-') readShort(reading, word)
    else args.push(word)
  }
  return finishInput(spec, args, reading.values)
}

/** Checks what was found against the table and fills in what was not given. */
function finishInput<C extends CommandSpec>(
  spec: C,
  args: readonly string[],
  values: ReadonlyMap<string, FlagValue>,
): Input<C> {
  checkArguments(spec, args)
  const flags = Object.fromEntries(spec.flags.map((flag) => [flag.name, settle(flag, values.get(flag.name))]))
  return { args, flags } as Input<C>
}

function unknownFlag(spec: CommandSpec, name: string): UsageError {
  const close = name.startsWith('--')
    ? nearest(
        name.slice(2),
        spec.flags.map((flag) => flag.name),
      )
    : spec.flags.find((flag) => flag.char?.toLowerCase() === name.slice(1).toLowerCase())?.name
  const help = `tsbuild ${spec.name} --help lists the flags`
  return new UsageError(`unknown flag: ${name}`, {
    hint: close === undefined ? help : `did you mean --${close}? ${help}`,
  })
}

function readLong(reading: Reading, word: string): void {
  const equals = word.indexOf('=')
  const name = equals < 0 ? word.slice(2) : word.slice(2, equals)
  const given = equals < 0 ? undefined : word.slice(equals + 1)
  const flag = reading.spec.flags.find((one) => one.name === name)
  if (flag === undefined) return readForeign(reading, `--${name}`, given)
  const isAlone = given === undefined && (flag.kind === 'boolean' || flag.kind === 'optional')
  take(reading, flag, `--${name}`, isAlone ? 'true' : (given ?? needValue(flag.value, `--${name}`, reading.rest)))
}

function readShort(reading: Reading, word: string): void {
  const { spec, rest, values } = reading
  for (let at = 1; at < word.length; at++) {
    const char = word[at]
    const remainder = word.slice(at + 1)
    const flag = spec.flags.find((one) => one.char === char)
    if (flag === undefined) {
      const given = remainder.startsWith('=') ? remainder.slice(1) : undefined
      return readForeign(reading, `-${char}`, given, given === undefined ? remainder : '')
    }
    if (flag.kind !== 'boolean') {
      const value = remainder === '' ? needValue(flag.value, `-${char}`, rest) : remainder.replace(/^=/, '')
      take(reading, flag, `-${char}`, value)
      return
    }
    if (remainder.startsWith('=')) {
      store(flag, remainder.slice(1), values)
      return
    }
    store(flag, 'true', values)
  }
}

/**
 * Words of ours take the place of a flag of another program, and are read next.
 * @param attached what stands behind a letter in the same word: its value, or more letters where it needs none
 */
function readForeign({ spec, rest, foreign }: Reading, typed: string, given: string | undefined, attached = ''): void {
  let letters = attached
  const words = foreign?.ofFlag(typed, given, () => {
    if (letters === '') return needValue('VALUE', typed, rest)
    letters = ''
    return attached
  })
  if (words === undefined) throw unknownFlag(spec, typed)
  rest.unshift(...words, ...(letters === '' ? [] : [`-${letters}`]))
}

/** A value may be another program's: then it is as a flag that is not ours. */
function take({ rest, values, foreign }: Reading, flag: FlagSpec, typed: string, value: string): void {
  const words = foreign?.ofValue(typed, value)
  if (words === undefined) store(flag, value, values)
  else rest.unshift(...words)
}

function needValue(placeholder: string | undefined, typed: string, rest: string[]): string {
  const value = rest.shift()
  if (value === undefined) throw new UsageError(`flag needs an argument: ${typed} ${placeholder ?? ''}`.trimEnd())
  return value
}

function store(flag: FlagSpec, value: string, values: Map<string, FlagValue>): void {
  if (flag.kind === 'texts') values.set(flag.name, [...((values.get(flag.name) as string[] | undefined) ?? []), value])
  else if (flag.kind === 'boolean') values.set(flag.name, parseBoolean(flag, value))
  else values.set(flag.name, value)
}

function parseBoolean(flag: FlagSpec, value: string): boolean {
  const word = booleanWord(value)
  if (word !== undefined) return word === 'true'
  throw new UsageError(`invalid argument "${value}" for --${flag.name}`, { hint: 'true or false' })
}

function settle(flag: FlagSpec, value: FlagValue): FlagValue {
  const given = Array.isArray(value)
    ? (value as string[])
    : value === undefined || value === false
      ? []
      : [String(value)]
  for (const one of given) {
    const { refused, options } = flag
    if (refused !== undefined && !refused.unless?.includes(one)) {
      const shown = flag.kind === 'boolean' ? '' : `=${one}`
      throw new UsageError(`--${flag.name}${shown}: ${refused.message}`, { hint: refused.hint })
    }
    if (flag.isNumber === true && !/^\d+$/.test(one))
      throw new UsageError(`invalid argument "${one}" for --${flag.name}`, { hint: 'a whole number' })
    if (options !== undefined && !options.includes(one)) {
      const close = nearest(one, options)
      throw new UsageError(`invalid argument "${one}" for --${flag.name}`, {
        hint: `${close === undefined ? '' : `did you mean ${close}? `}one of ${options.join(', ')}`,
      })
    }
  }
  if (value !== undefined) return value
  if (flag.kind === 'boolean') return flag.default ?? false
  return flag.kind === 'texts' ? [] : undefined
}

function checkArguments(spec: CommandSpec, args: readonly string[]): void {
  const required = spec.args.filter((arg) => arg.required).length
  const most = spec.args.some((arg) => arg.repeated) ? Number.POSITIVE_INFINITY : spec.args.length
  if (args.length >= required && args.length <= most) return
  const usage = spec.args
    .map((arg) => `${arg.required ? arg.name : `[${arg.name}]`}${arg.repeated ? '...' : ''}`)
    .join(' ')
  const count =
    most === Number.POSITIVE_INFINITY
      ? `at least ${required}`
      : required === most
        ? `exactly ${most}`
        : `${required} to ${most}`
  const noun = count.endsWith(' 1') || count === '1' ? 'argument' : 'arguments'
  // A path with a space that no quotes keep together is the commonest reason: who sees the words knows.
  const words = args.length > most ? `: ${args.map((arg) => JSON.stringify(arg)).join(' ')}` : ''
  const missing = args.length < required ? spec.args[args.length] : undefined
  const meaning = missing === undefined ? '' : `; ${missing.name}: ${missing.summary}`
  throw new UsageError(`tsbuild ${spec.name} takes ${count} ${noun}, got ${args.length}${words}`, {
    hint: `tsbuild ${spec.name} [OPTIONS] ${usage}`.trimEnd() + meaning,
    exitCode: 1,
  })
}
