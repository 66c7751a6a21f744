/**
 * Variables, quotes and escapes in the words of a Dockerfile: what a POSIX shell does to a word, without commands, and
 * with BuildKit's modifiers, messages and peculiarities.
 */
import { BuilderError } from '../../errors.ts'
import type { EscapeToken } from './ast.ts'
import { Complaint, isComplaint } from './errors.ts'
import { replacePattern, trimPrefix, trimSuffix } from './expand-pattern.ts'
import { isSpaceCode, quote } from './text.ts'

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
}

export interface Expansion {
  readonly text: string
  /** The text cut at white space outside quotes. */
  readonly words: readonly string[]
  /** Names that were looked up and found. */
  readonly matched: ReadonlySet<string>
  /** Names that were looked up and not found. */
  readonly unmatched: ReadonlySet<string>
}

/** Variables from `NAME=value` lines; a later line wins. */
export function createEnvironment(lines: Iterable<string>): Environment {
  const values = new Map<string, string>()
  for (const line of lines) {
    const at = line.indexOf('=')
    if (at === -1) values.set(line, '')
    else values.set(line.slice(0, at), line.slice(at + 1))
  }
  return { get: (name) => values.get(name), keys: () => values.keys() }
}

const NOTHING: ReadonlySet<string> = new Set()

/**
 * Expands one word: `$name`, `${name}` and its modifiers, quotes and escapes.
 * @throws BuilderError `OCI_DOCKERFILE_INVALID` with BuildKit's wording, such as `failed to process "${": syntax error: missing '}'`.
 * @example expandWord('${NAME:-nobody}', createEnvironment([])).text // 'nobody'
 */
export function expandWord(word: string, environment: Environment, options: ExpandOptions = {}): Expansion {
  if (isPlain(word, options)) return { text: word, words: [], matched: NOTHING, unmatched: NOTHING }
  return run(word, environment, options)
}

/**
 * Expands a word and cuts the result at white space outside quotes, also at white space that comes from a variable.
 * @throws BuilderError as {@link expandWord}.
 */
export function expandWords(word: string, environment: Environment, options: ExpandOptions = {}): readonly string[] {
  return run(word, environment, options).words
}

// Most words of most files hold nothing to expand. U+FEFF is dropped at the beginning of a word.
function isPlain(word: string, options: ExpandOptions): boolean {
  const escape = (options.escape ?? '\\').charCodeAt(0)
  for (let at = 0; at < word.length; at++) {
    const code = word.charCodeAt(at)
    if (code === 0x24 || code === 0x22 || code === 0x27 || code === escape || code >= 0xd800) return false
  }
  return true
}

const END = -1

interface Words {
  readonly list: string[]
  inWord: boolean
}

interface Lexer {
  readonly text: string
  readonly environment: Environment
  readonly options: ExpandOptions
  readonly escape: number
  readonly matched: Set<string>
  readonly unmatched: Set<string>
  at: number
  rawEscapes: boolean
  /** The word being collected. One for all levels of nesting, as in BuildKit: `a${b:-c}` yields the word `c`. */
  word: string
}

function run(word: string, environment: Environment, options: ExpandOptions): Expansion {
  const text = word.toWellFormed()
  const lexer: Lexer = {
    text,
    environment,
    options,
    escape: (options.escape ?? '\\').charCodeAt(0),
    matched: new Set(),
    unmatched: new Set(),
    at: text.startsWith('\ufeff') ? 1 : 0,
    rawEscapes: options.rawEscapes === true,
    word: '',
  }
  try {
    const [result, words] = readUntil(lexer, END, lexer.rawEscapes)
    return { text: result, words, matched: lexer.matched, unmatched: lexer.unmatched }
  } catch (error) {
    if (!isComplaint(error)) throw error
    throw new BuilderError('OCI_DOCKERFILE_INVALID', `failed to process ${quote(word)}: ${error.message}`, {
      details: { word },
    })
  }
}

function peek(lexer: Lexer): number {
  return lexer.at < lexer.text.length ? lexer.text.codePointAt(lexer.at)! : END
}

function next(lexer: Lexer): number {
  const code = peek(lexer)
  if (code !== END) lexer.at += code > 0xffff ? 2 : 1
  return code
}

function show(code: number): string {
  return code === END ? '\ufffd' : String.fromCodePoint(code)
}

const DOLLAR = 0x24
const LESS_THAN = 0x3c
const SINGLE_QUOTE = 0x27
const DOUBLE_QUOTE = 0x22
const SLASH = 0x2f
const OPEN_BRACE = 0x7b
const CLOSE_BRACE = 0x7d

function readUntil(lexer: Lexer, stop: number, rawEscapes: boolean): [text: string, words: string[]] {
  const words: Words = { list: [], inWord: false }
  const outerRawEscapes = lexer.rawEscapes
  lexer.rawEscapes = rawEscapes
  lexer.word = ''
  let result = ''
  try {
    for (;;) {
      const code = peek(lexer)
      if (code === END) break
      if (code === stop) {
        lexer.at++
        return [result, finishWords(lexer, words)]
      }
      result += readPart(lexer, words, code)
    }
  } finally {
    lexer.rawEscapes = outerRawEscapes
  }
  if (stop !== END) throw new Complaint(`unexpected end of statement while looking for matching ${show(stop)}`)
  return [result, finishWords(lexer, words)]
}

function readPart(lexer: Lexer, words: Words, code: number): string {
  if (code === DOLLAR) {
    const value = readVariable(lexer)
    for (const character of value) addCharacter(lexer, words, character)
    return value
  }
  const special = readSpecial(lexer, code)
  if (special !== undefined) {
    addRaw(lexer, words, special)
    return special
  }
  return readPlain(lexer, words)
}

function readSpecial(lexer: Lexer, code: number): string | undefined {
  if (code === LESS_THAN) return readPossibleHeredoc(lexer)
  if (lexer.options.ignoreQuotes === true) return undefined
  if (code === SINGLE_QUOTE) return readSingleQuoted(lexer)
  return code === DOUBLE_QUOTE ? readDoubleQuoted(lexer) : undefined
}

function readPlain(lexer: Lexer, words: Words): string {
  const code = next(lexer)
  if (code !== lexer.escape) {
    const character = show(code)
    addCharacter(lexer, words, character)
    return character
  }
  let result = ''
  if (lexer.rawEscapes) {
    result = show(code)
    addRaw(lexer, words, result)
  }
  const escaped = next(lexer)
  if (escaped === END) return result
  addRaw(lexer, words, show(escaped))
  return result + show(escaped)
}

function addCharacter(lexer: Lexer, words: Words, character: string): void {
  if (!isSpaceCode(character.charCodeAt(0))) addRaw(lexer, words, character)
  else if (words.inWord && lexer.word !== '') {
    words.list.push(lexer.word)
    lexer.word = ''
    words.inWord = false
  }
}

function addRaw(lexer: Lexer, words: Words, text: string): void {
  lexer.word += text
  words.inWord = true
}

function finishWords(lexer: Lexer, words: Words): string[] {
  if (lexer.word !== '') words.list.push(lexer.word)
  lexer.word = ''
  words.inWord = false
  return words.list
}

function readSingleQuoted(lexer: Lexer): string {
  const end = lexer.text.indexOf("'", lexer.at + 1)
  if (end === -1) {
    lexer.at = lexer.text.length
    throw new Complaint('unexpected end of statement while looking for matching single-quote')
  }
  const [from, to] = lexer.options.rawQuotes === true ? [lexer.at, end + 1] : [lexer.at + 1, end]
  lexer.at = end + 1
  return lexer.text.slice(from, to)
}

function readDoubleQuoted(lexer: Lexer): string {
  const mark = lexer.options.rawQuotes === true ? '"' : ''
  let result = mark
  lexer.at++
  for (;;) {
    const code = peek(lexer)
    if (code === END) throw new Complaint('unexpected end of statement while looking for matching double-quote')
    if (code === DOUBLE_QUOTE) {
      lexer.at++
      return result + mark
    }
    if (code === DOLLAR) result += readVariable(lexer)
    else if (code === lexer.escape) result += readQuotedEscape(lexer)
    else result += show(next(lexer))
  }
}

// Within double quotes an escape is itself, except before the three characters that it can escape.
function readQuotedEscape(lexer: Lexer): string {
  const escape = show(next(lexer))
  const kept = lexer.rawEscapes ? escape : ''
  const code = peek(lexer)
  if (code === END) return kept
  if (code !== DOUBLE_QUOTE && code !== DOLLAR && code !== lexer.escape) return kept + escape
  return kept + show(next(lexer))
}

function readPossibleHeredoc(lexer: Lexer): string {
  const start = lexer.at++
  if (peek(lexer) !== LESS_THAN) return '<'
  lexer.at++
  while (isHeredocBlank(peek(lexer))) lexer.at++
  return lexer.text.slice(start, lexer.at)
}

function isHeredocBlank(code: number): boolean {
  return code === 0x09 || code === 0x0d || code === 0x20
}

function readVariable(lexer: Lexer): string {
  lexer.at++
  if (peek(lexer) === OPEN_BRACE) return readBraced(lexer)
  const name = readName(lexer)
  if (name === '') return '$'
  const value = lookUp(lexer, name)
  return value ?? (lexer.options.keepUnset === true ? `$${name}` : '')
}

function readBraced(lexer: Lexer): string {
  lexer.at++
  const first = peek(lexer)
  if (first === END) throw new Complaint("syntax error: missing '}'")
  if (first === OPEN_BRACE || first === CLOSE_BRACE || first === 0x3a) {
    throw new Complaint('syntax error: bad substitution')
  }
  const name = readName(lexer)
  const modifier = show(next(lexer))
  if (modifier === '}') return lookUp(lexer, name) ?? (lexer.options.keepUnset === true ? `\${${name}}` : '')
  if (modifier === ':') return readModified(lexer, name, show(next(lexer)), true)
  if ('+-?#%'.includes(modifier)) return readModified(lexer, name, modifier, false)
  if (modifier === '/') return readReplacement(lexer, name)
  throw unsupported(modifier)
}

function unsupported(modifier: string): Complaint {
  return new Complaint(`unsupported modifier (${modifier}) in substitution`)
}

function readModified(lexer: Lexer, name: string, modifier: string, emptyIsUnset: boolean): string {
  const written = emptyIsUnset ? `:${modifier}` : modifier
  const isPattern = modifier === '#' || modifier === '%'
  if (emptyIsUnset && isPattern) throw unsupported(written)
  const word = readWordOf(lexer, CLOSE_BRACE, isPattern, "syntax error: missing '}'")
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

function readReplacement(lexer: Lexer, name: string): string {
  const all = peek(lexer) === SLASH
  if (all) lexer.at++
  const pattern = readWordOf(lexer, SLASH, true, "syntax error: missing '/' in ${}")
  const replacement = readWordOf(lexer, CLOSE_BRACE, true, "syntax error: missing '}'")
  const value = lookUp(lexer, name)
  if (value === undefined && lexer.options.keepUnset === true) return `\${${name}/${pattern}/${replacement}}`
  return replacePattern(pattern, value ?? '', replacement, all)
}

// Whatever goes wrong inside, an end of the text is told as the missing brace.
function readWordOf(lexer: Lexer, stop: number, rawEscapes: boolean, missing: string): string {
  try {
    return readUntil(lexer, stop, rawEscapes)[0]
  } catch (error) {
    if (isComplaint(error) && peek(lexer) === END) throw new Complaint(missing)
    throw error
  }
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
