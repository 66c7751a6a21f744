/** The character that escapes and continues lines. */
export type EscapeToken = '\\' | '`'

/** Variables, in the order in which they were set. */
export interface Environment {
  get(name: string): string | undefined
  keys(): Iterable<string>
}

export interface ExpandOptions {
  /** Escape character of the file; `\` by default. */
  readonly escape?: EscapeToken
  /** Keep quotes in the result. */
  readonly rawQuotes?: boolean
  /** Keep escape characters in the result. */
  readonly rawEscapes?: boolean
  /** Quotes are ordinary characters (bodies of heredocs). */
  readonly ignoreQuotes?: boolean
  /** References to variables that are not set stay as they are written. */
  readonly keepUnset?: boolean
  /** Most characters of the result; more is an error. */
  readonly maxLength?: number
}

export interface Expansion {
  readonly text: string
  /** Names that were looked up and found. */
  readonly matched: ReadonlySet<string>
  /** Names that were looked up and not found. */
  readonly unmatched: ReadonlySet<string>
}
