/** One pattern of an ignore file: Go's `filepath.Match`, with `**` for any number of directories. */

import { createAutomaton } from './automaton.ts'
import { parseExpression } from './ignore-expression.ts'

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
      const alternatives = parseExpression(`^${expression}$`)
      const run = alternatives && createAutomaton(alternatives)
      if (run === undefined) return undefined
      if (/[|{]/.test(pattern)) return { test: run, literalPrefix: '' }
      const literalPrefix = /^[^*?[\\^]*/.exec(withoutMark(pattern))![0]
      const literalSuffix = literalEnd(pattern)
      // Two cheap questions spare most runs.
      const test = (path: string): boolean =>
        path.endsWith(literalSuffix) && path.startsWith(literalPrefix) && run(path)
      return { test, literalPrefix }
    }
  }
}

// The reference implementation's reader drops a byte order mark, but only where it makes an expression of the pattern.
function withoutMark(pattern: string): string {
  return pattern.startsWith('\ufeff') ? pattern.slice(1) : pattern
}

/**
 * What every match of a pattern without braces and bars ends with: characters behind the last special one, without one
 * that a backslash quotes and without the slash of two stars and a slash, which belongs to them.
 */
export function literalEnd(pattern: string): string {
  let at = pattern.length
  while (at > 0 && !SPECIAL.has(pattern[at - 1]!)) at--
  if (pattern[at - 1] === '\\') {
    // What `\141` or `\pL` stands for, and how long it is, only the expression knows.
    if (/[0-9A-Za-z]/.test(pattern[at] ?? '')) return ''
    at += (pattern.codePointAt(at) ?? 0) > 0xffff ? 2 : 1
  } else if (pattern[at - 1] === '*' && pattern[at - 2] === '*' && pattern[at] === '/') at++
  return pattern.slice(at)
}

const SPECIAL = new Set('*?[]\\^')

// `|`, `{` and `}` are missing in the reference implementation too (its bit table ends at `?`): beside a wildcard they
// mean what they mean in an expression.
const QUOTED = new Set('.+()$')

// The expression is built as the reference implementation builds it, oddities included (a `*` within brackets), and
// translated from Go's syntax afterwards.
function toExpression(pattern: string): { form: Form; expression: string } {
  const characters = Array.from(withoutMark(pattern))
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
