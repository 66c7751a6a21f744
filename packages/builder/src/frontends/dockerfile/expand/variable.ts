/** `$name`, `${name}` and its modifiers. */
import { Complaint } from './complaint.ts'
import { type Lexer, END, next, openFrame, peek, show } from './lexer-state.ts'
import { replacePattern, trimPrefix, trimSuffix } from './pattern.ts'

const SLASH = 0x2f
const OPEN_BRACE = 0x7b
const CLOSE_BRACE = 0x7d

/** The value of the variable that begins here; undefined: its word is to be read first, for which a frame is open now. */
export function beginVariable(lexer: Lexer): string | undefined {
  lexer.at++
  if (peek(lexer) === OPEN_BRACE) return beginBraced(lexer)
  const name = readName(lexer)
  if (name === '') return '$'
  return lookUp(lexer, name) ?? (lexer.options.keepUnset === true ? `$${name}` : '')
}

function beginBraced(lexer: Lexer): string | undefined {
  lexer.at++
  const first = peek(lexer)
  if (first === END) throw new Complaint("syntax error: missing '}'")
  if (first === OPEN_BRACE || first === CLOSE_BRACE || first === 0x3a) {
    throw new Complaint('syntax error: bad substitution')
  }
  const name = readName(lexer)
  const modifier = show(next(lexer))
  if (modifier === '}') return lookUp(lexer, name) ?? (lexer.options.keepUnset === true ? `\${${name}}` : '')
  if (modifier === ':') beginModified(lexer, name, show(next(lexer)), true)
  else if ('+-?#%'.includes(modifier)) beginModified(lexer, name, modifier, false)
  else if (modifier === '/') beginReplacement(lexer, name)
  else throw unsupported(modifier)
  return undefined
}

function unsupported(modifier: string): Complaint {
  return new Complaint(`unsupported modifier (${modifier}) in substitution`)
}

function beginModified(lexer: Lexer, name: string, modifier: string, emptyIsUnset: boolean): void {
  const written = emptyIsUnset ? `:${modifier}` : modifier
  const isPattern = modifier === '#' || modifier === '%'
  if (emptyIsUnset && isPattern) throw unsupported(written)
  openFrame(lexer, {
    stop: CLOSE_BRACE,
    rawEscapes: isPattern,
    missing: "syntax error: missing '}'",
    finish: (word) => modified(lexer, { name, modifier, written, emptyIsUnset }, word),
  })
}

interface Modification {
  readonly name: string
  readonly modifier: string
  readonly written: string
  readonly emptyIsUnset: boolean
}

function modified(lexer: Lexer, { name, modifier, written, emptyIsUnset }: Modification, word: string): string {
  const value = lookUp(lexer, name)
  if (value === undefined && lexer.options.keepUnset === true) return `\${${name}${written}${word}}`
  const isSet = value !== undefined && !(emptyIsUnset && value === '')
  switch (modifier) {
    case '-':
      return isSet ? value : word
    case '+':
      return isSet ? word : ''
    case '?':
      if (isSet) return value
      throw new Complaint(`${name}: ${word || `is not allowed to be ${value === undefined ? 'unset' : 'empty'}`}`)
    case '#':
    case '%':
      return trim(modifier, word, value ?? '')
    default:
      throw unsupported(written)
  }
}

function trim(modifier: '#' | '%', word: string, value: string): string {
  const greedy = word.startsWith(modifier)
  const pattern = greedy ? word.slice(1) : word
  return modifier === '#' ? trimPrefix(pattern, value, greedy) : trimSuffix(pattern, value, greedy)
}

function beginReplacement(lexer: Lexer, name: string): void {
  const all = peek(lexer) === SLASH
  if (all) lexer.at++
  openFrame(lexer, {
    stop: SLASH,
    rawEscapes: true,
    missing: "syntax error: missing '/' in ${}",
    finish: (pattern) => {
      openFrame(lexer, {
        stop: CLOSE_BRACE,
        rawEscapes: true,
        missing: "syntax error: missing '}'",
        finish: (replacement) => replaced(lexer, { name, pattern, all }, replacement),
      })
      return undefined
    },
  })
}

interface Replacement {
  readonly name: string
  readonly pattern: string
  readonly all: boolean
}

function replaced(lexer: Lexer, { name, pattern, all }: Replacement, replacement: string): string {
  const value = lookUp(lexer, name)
  if (value === undefined && lexer.options.keepUnset === true) return `\${${name}/${pattern}/${replacement}}`
  return replacePattern(pattern, value ?? '', replacement, { all, maxLength: lexer.maxLength })
}

function readName(lexer: Lexer): string {
  const first = show(peek(lexer))
  const pattern = /\p{Nd}/u.test(first) ? /\p{Nd}+/uy : /[@*#?\-$!]|[\p{L}\p{Nd}_]+/uy
  pattern.lastIndex = lexer.at
  const name = pattern.exec(lexer.text)?.[0] ?? ''
  lexer.at += name.length
  return name
}

function lookUp(lexer: Lexer, name: string): string | undefined {
  const value = lexer.environment.get(name)
  if (value === undefined) lexer.unmatched.add(name)
  else lexer.matched.add(name)
  return value
}
