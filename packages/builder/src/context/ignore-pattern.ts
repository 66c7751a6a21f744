/** One pattern of an ignore file: Go's `filepath.Match`, with `**` for any number of directories. */

/** How a path is compared; most patterns need no regular expression. */
export type PatternTest = (path: string) => boolean

export interface CompiledPattern {
  readonly test: PatternTest
  /** Every path that matches begins with this. */
  readonly literalPrefix: string
}

/**
 * The pattern is one that `filepath.Match` takes when it is asked about `.`, which is how BuildKit checks patterns: it
 * reads from `*` to `*` and looks at nothing behind the first piece that does not fit, so some malformed patterns pass
 * and fail only when they are used.
 */
export function isValidPattern(pattern: string): boolean {
  const characters = Array.from(pattern)
  let name = '.'
  for (let at = 0; at < characters.length;) {
    const start = behindStars(characters, at)
    const end = endOfPiece(characters, start)
    const isLast = end === characters.length
    if (start > at && start === end) return true
    let rest = matchPiece(characters.slice(start, end), name)
    if (rest === undefined) return false
    if (start > at && name !== '' && (rest === null || (rest !== '' && isLast))) {
      rest = matchPiece(characters.slice(start, end), '')
    }
    if (rest === undefined || rest === null || (rest !== '' && isLast)) return rest !== undefined
    name = rest
    at = end
  }
  return true
}

function behindStars(characters: readonly string[], at: number): number {
  let start = at
  while (characters[start] === '*') start++
  return start
}

function endOfPiece(characters: readonly string[], start: number): number {
  let isInClass = false
  let at = start
  for (; at < characters.length && (isInClass || characters[at] !== '*'); at++) {
    if (characters[at] === '\\') at += at + 1 < characters.length ? 1 : 0
    else if (characters[at] === '[') isInClass = true
    else if (characters[at] === ']') isInClass = false
  }
  return at
}

// What is left of a name (`.` or nothing) behind a piece without stars; null: it does not fit; undefined:
// the piece is malformed.
function matchPiece(piece: readonly string[], name: string): string | null | undefined {
  let rest = name
  let fails = false
  for (let at = 0; at < piece.length; at++) {
    const start = at
    fails ||= rest === ''
    if (piece[at] === '[') {
      at = endOfClass(piece, at)
      if (at === -1) return undefined
      fails ||= !isDotInClass(piece.slice(start + 1, at))
    } else {
      if (piece[at] === '\\') at++
      if (at === piece.length) return undefined
      fails ||= piece[at] !== '.' && (piece[at] !== '?' || at > start)
    }
    rest = ''
  }
  return fails ? null : rest
}

function isDotInClass(members: readonly string[]): boolean {
  const isNegated = members[0] === '^'
  let isMember = false
  for (let at = isNegated ? 1 : 0; at < members.length; at++) {
    if (members[at] === '\\') at++
    const low = members[at]!
    let high = low
    if (members[at + 1] === '-') {
      at += members[at + 2] === '\\' ? 3 : 2
      high = members[at]!
    }
    isMember ||= low <= '.' && '.' <= high
  }
  return isMember !== isNegated
}

// Index of the `]` that closes the class at `start`; -1: the class is malformed.
function endOfClass(characters: readonly string[], start: number): number {
  let at = characters[start + 1] === '^' ? start + 2 : start + 1
  for (let ranges = 0; ; ranges++) {
    if (characters[at] === ']' && ranges > 0) return at
    at = behindClassCharacter(characters, at)
    if (characters[at] === '-') at = behindClassCharacter(characters, at + 1)
    if (at >= characters.length) return -1
  }
}

function behindClassCharacter(characters: readonly string[], at: number): number {
  const character = characters[at]
  if (character === undefined || character === '-' || character === ']') return Infinity
  return character === '\\' ? at + 2 : at + 1
}

/** What the pattern becomes while it is read; a later wildcard can change what an earlier one made of it. */
type Form = 'exact' | 'prefix' | 'suffix' | 'expression'

/**
 * Makes a test of a cleaned pattern; undefined when its escapes mean nothing (`\p`, which Go reads as a class), which
 * only a use of the pattern reports.
 */
export function compilePattern(pattern: string): CompiledPattern | undefined {
  const { form, expression } = toExpression(pattern)
  switch (form) {
    case 'exact':
      return { test: (path) => path === pattern, literalPrefix: pattern }
    case 'prefix': {
      const prefix = pattern.slice(0, -2)
      return { test: (path) => path.startsWith(prefix), literalPrefix: prefix }
    }
    case 'suffix': {
      const suffix = pattern.slice(2)
      const whole = suffix.startsWith('/') ? suffix.slice(1) : undefined
      return { test: (path) => path.endsWith(suffix) || path === whole, literalPrefix: '' }
    }
    case 'expression': {
      const compiled = compileExpression(`^${expression}$`)
      if (compiled === undefined) return undefined
      const literalPrefix = /[|{]/.test(pattern) ? '' : /^[^*?[\\^]*/.exec(pattern)![0]
      return { test: (path) => compiled.test(path), literalPrefix }
    }
  }
}

// `|`, `{` and `}` are missing in the reference implementation too (its bit table ends at `?`): beside a wildcard they
// mean what they mean in an expression.
const QUOTED = new Set('.+()$')

// The expression is built as the reference implementation builds it, oddities included (a `*` within brackets), and
// translated from Go's syntax afterwards.
function toExpression(pattern: string): { form: Form; expression: string } {
  const characters = Array.from(pattern)
  let expression = ''
  let form: Form = 'exact'
  for (let at = 0, step = 0; at < characters.length; at++, step++) {
    const character = characters[at]!
    if (character === '*' && characters[at + 1] === '*') {
      at += characters[at + 2] === '/' ? 2 : 1
      if (at + 1 < characters.length) {
        expression += '(.*/)?'
        form = 'expression'
      } else if (form === 'exact') form = 'prefix'
      else {
        expression += '.*'
        form = 'expression'
      }
      if (step === 0) form = 'suffix'
    } else if (character === '*' || character === '?') {
      expression += character === '*' ? '[^/]*' : '[^/]'
      form = 'expression'
    } else if (QUOTED.has(character)) expression += `\\${character}`
    else if (character === '\\') {
      at++
      expression += `\\${characters[at] ?? ''}`
      if (at < characters.length) form = 'expression'
    } else {
      expression += character
      if (character === '[' || character === ']') form = 'expression'
    }
  }
  return { form, expression }
}

/** Escapes of Go's expressions that stand for something; JavaScript's mean the same, as far as ASCII goes. */
const CLASS_ESCAPES: Readonly<Record<string, string>> = {
  d: '0-9',
  D: '\\D',
  s: '\\t\\n\\f\\r ',
  S: '\\u{0}-\\u{8}\\v\\u{e}-\\u{1f}\\u{21}-\\u{10ffff}',
  w: '\\w',
  W: '\\W',
}
const CHARACTER_ESCAPES: Readonly<Record<string, string>> = {
  a: '\\u{7}',
  f: '\\f',
  n: '\\n',
  r: '\\r',
  t: '\\t',
  v: '\\v',
}
const ASSERTIONS: Readonly<Record<string, string>> = { b: '\\b', B: '\\B', A: '^', z: '$' }

function compileExpression(expression: string): RegExp | undefined {
  const source = translateExpression(expression)
  if (source === undefined) return undefined
  try {
    return new RegExp(source, 'u')
  } catch {
    return undefined // a repetition of a repetition, an error in Go as well
  }
}

function translateExpression(expression: string): string | undefined {
  const characters = Array.from(expression)
  let source = ''
  for (let at = 0; at < characters.length; at++) {
    const character = characters[at]!
    let part: string | undefined = character
    if (character === '[') {
      const translated = translateClass(characters, at)
      if (translated === undefined) return undefined
      part = translated.source
      at = translated.end
    } else if (character === '\\') {
      at++
      part = translateEscape(characters[at])
    } else if (character === '{') {
      part = repetition(characters.slice(at, at + MAX_REPETITION_LENGTH).join(''))
      at += part === '\\{' ? 0 : part.length - 1
    } else if (character === '.') part = '[^\\n]'
    else if (character === '^') part = '(?:^)' // may be repeated
    else if (character === ']' || character === '}') part = `\\${character}`
    if (part === undefined) return undefined
    source += part
  }
  return source
}

const MAX_REPETITION_LENGTH = '{1000,1000}'.length

// What is no repetition is a brace.
function repetition(text: string): string {
  return /^\{(?:0|[1-9]\d*)(?:,(?:0|[1-9]\d*)?)?\}/.exec(text)?.[0] ?? '\\{'
}

function translateEscape(character: string | undefined): string | undefined {
  if (character === undefined) return undefined
  if (Object.hasOwn(CLASS_ESCAPES, character)) return `[${CLASS_ESCAPES[character]}]`
  if (Object.hasOwn(ASSERTIONS, character)) return ASSERTIONS[character]
  return CHARACTER_ESCAPES[character] ?? quoteCharacter(character)
}

// Go takes an escape before punctuation as quoting; before any other letter or digit it is an error.
function quoteCharacter(character: string): string | undefined {
  if (!/^[!-/:-@[-`{-~]$/.test(character)) return undefined
  return `\\u{${character.codePointAt(0)!.toString(16)}}`
}

function translateClass(characters: readonly string[], start: number): { source: string; end: number } | undefined {
  let at = start + 1
  let source = '['
  if (characters[at] === '^') {
    source += '^'
    at++
  }
  for (let first = true; first || characters[at] !== ']'; first = false) {
    const item = translateClassItem(characters, at)
    if (item === undefined) return undefined
    source += item.source
    at = item.end
  }
  return { source: `${source}]`, end: at }
}

function translateClassItem(characters: readonly string[], start: number): { source: string; end: number } | undefined {
  const escaped = characters[start] === '\\' ? characters[start + 1] : undefined
  if (escaped !== undefined && Object.hasOwn(CLASS_ESCAPES, escaped)) {
    return { source: CLASS_ESCAPES[escaped]!, end: start + 2 }
  }
  const low = classCharacter(characters, start)
  if (low === undefined) return undefined
  if (characters[low.end] !== '-' || characters[low.end + 1] === ']') return { source: low.source, end: low.end }
  const high = classCharacter(characters, low.end + 1)
  if (high === undefined || high.code < low.code) return undefined
  return { source: `${low.source}-${high.source}`, end: high.end }
}

function classCharacter(
  characters: readonly string[],
  at: number,
): { source: string; code: number; end: number } | undefined {
  const character = characters[at]
  if (character === undefined) return undefined
  if (character !== '\\') {
    const code = character.codePointAt(0)!
    return { source: `\\u{${code.toString(16)}}`, code, end: at + 1 }
  }
  const escaped = characters[at + 1]
  if (escaped === undefined) return undefined
  const source = CHARACTER_ESCAPES[escaped] ?? quoteCharacter(escaped)
  if (source === undefined) return undefined
  const code = Object.hasOwn(CHARACTER_ESCAPES, escaped)
    ? '\x07\f\n\r\t\v'.charCodeAt('afnrtv'.indexOf(escaped))
    : escaped.codePointAt(0)!
  return { source, code, end: at + 2 }
}
