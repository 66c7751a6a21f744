/** One flag as data: oclif's flags and the fast parser are both made from it. */
export interface FlagSpec {
  readonly name: string
  readonly char?: string
  /**
   * `boolean`: also `--name=true` and `--name=false`; `text`: the last one counts; `texts`: may be repeated;
   * `optional`: a text that is `true` when only the name is given.
   */
  readonly kind: 'boolean' | 'text' | 'texts' | 'optional'
  /** Placeholder of the value in the help. */
  readonly value?: string
  /** Missing where the flag is always refused: the refusal says it. */
  readonly summary?: string
  /** Heading in the help below which it stands; without one it is among the first. */
  readonly group?: string
  /** Of a boolean that is on unless `--name=false`. */
  readonly default?: true
  readonly options?: readonly string[]
  /** Of a text: digits alone. */
  readonly isNumber?: true
  /** The flag is known and not supported: what to say and what to do instead. */
  readonly refused?: { readonly message: string; readonly hint: string; readonly unless?: readonly string[] }
}

export interface ArgumentSpec {
  readonly name: string
  readonly summary: string
  readonly required: boolean
  /** Takes all that follow; the last argument only. */
  readonly repeated?: boolean
}

/** One command as data. */
export interface CommandSpec {
  /** As typed after `tsbuild`: `images`, `debug parse`. */
  readonly name: string
  readonly summary: string
  readonly description?: string
  readonly examples?: readonly string[]
  readonly args: readonly ArgumentSpec[]
  readonly flags: readonly FlagSpec[]
}

type ValueOf<F extends FlagSpec> = F['kind'] extends 'boolean'
  ? boolean
  : F['kind'] extends 'texts'
    ? readonly string[]
    : string | undefined

/** What a parser hands to a command's action. */
export interface Input<C extends CommandSpec = CommandSpec> {
  readonly args: readonly string[]
  readonly flags: { readonly [F in C['flags'][number] as F['name']]: ValueOf<F> }
}

/** Flags of other programs as one command line has them: words of ours that mean the same. */
export interface ForeignWords {
  /**
   * For a flag that is none of ours: `--volume`, `-v`; undefined where nobody knows it.
   * @param next takes the following word as value
   * @throws UsageError with what to use, where there is no equivalent
   */
  ofFlag(typed: string, given: string | undefined, next: () => string): readonly string[] | undefined
  /** For a value of a flag of ours that is another program's. */
  ofValue(typed: string, value: string): readonly string[] | undefined
}

/** Keeps the literal types of a command's table, from which the types of its input follow. */
export function defineSpec<const C extends CommandSpec>(spec: C): C {
  return spec
}
