/**
 * Reads a word of a Dockerfile from left to right. Substitutions nest as deep as a line is long, so what is open stands on
 * a stack of its own and not on the engine's.
 */
import { BuilderError } from '../../../base/errors.ts'
import { Complaint, isComplaint } from './complaint.ts'
import { beginVariable } from './variable.ts'
import { END, next, openFrame, peek, show, type Frame, type Lexer } from './lexer-state.ts'
import type { Environment, Expansion, ExpandOptions } from './types.ts'
import { MAX_TEXT_LENGTH, tooLarge } from './text-budget.ts'
import { isSpaceCode, quote } from '../../../base/text.ts'

const DOLLAR = 0x24
const LESS_THAN = 0x3c
const SINGLE_QUOTE = 0x27
const DOUBLE_QUOTE = 0x22

/** @throws BuilderError `OCI_DOCKERFILE_INVALID` */
export function runLexer(
  word: string,
  environment: Environment,
  options: ExpandOptions,
  collectsWords: boolean,
): Expansion & { readonly words: readonly string[] } {
  const text = word.toWellFormed()
  const lexer: Lexer = {
    text,
    environment,
    options,
    escape: (options.escape ?? '\\').charCodeAt(0),
    matched: new Set(),
    unmatched: new Set(),
    maxLength: options.maxLength ?? MAX_TEXT_LENGTH,
    collectsWords,
    frames: [],
    at: text.startsWith('\ufeff') ? 1 : 0,
    rawEscapes: options.rawEscapes === true,
    word: '',
  }
  try {
    openFrame(lexer, { stop: END, rawEscapes: lexer.rawEscapes })
    const { result, words } = readFrames(lexer)
    return { text: result, words, matched: lexer.matched, unmatched: lexer.unmatched }
  } catch (error) {
    if (!isComplaint(error)) throw error
    throw new BuilderError('OCI_DOCKERFILE_INVALID', `failed to process ${shorten(word)}: ${reasonOf(error, lexer)}`, {
      details: { word },
    })
  }
}

const MAX_SHOWN = 1000

function shorten(word: string): string {
  return quote(word.length <= MAX_SHOWN ? word : `${word.slice(0, MAX_SHOWN)}…`)
}

function reasonOf(error: Complaint, lexer: Lexer): string {
  const outermost = lexer.frames.find(({ missing }) => missing !== undefined)
  return peek(lexer) === END && outermost !== undefined ? outermost.missing! : error.message
}

function openQuotes(lexer: Lexer): void {
  lexer.at++
  const { rawEscapes } = lexer
  const result = quotationMark(lexer)
  const frame = {
    stop: DOUBLE_QUOTE,
    rawEscapes,
    isQuoted: true,
    outerRawEscapes: rawEscapes,
    words: [],
    inWord: false,
  }
  lexer.frames.push({ ...frame, result })
}

function quotationMark({ options }: Lexer): string {
  return options.rawQuotes === true ? '"' : ''
}

function readFrames(lexer: Lexer): Frame {
  for (;;) {
    const frame = lexer.frames.at(-1)!
    if (frame.result.length > lexer.maxLength) throw tooLarge('the result is', lexer.maxLength)
    const code = peek(lexer)
    if (code === frame.stop) {
      if (lexer.frames.length === 1) {
        finishWords(lexer, frame)
        return frame
      }
      lexer.at++
      closeFrame(lexer, frame)
    } else if (frame.isQuoted) readQuoted(lexer, frame, code)
    else if (code === END)
      throw new Complaint(`unexpected end of statement while looking for matching ${show(frame.stop)}`)
    else readPart(lexer, frame, code)
  }
}

function closeFrame(lexer: Lexer, frame: Frame): void {
  lexer.frames.pop()
  lexer.rawEscapes = frame.outerRawEscapes
  if (frame.isQuoted) return addSpecial(lexer, lexer.frames.at(-1)!, frame.result + quotationMark(lexer))
  finishWords(lexer, frame)
  const value = frame.finish!(frame.result)
  if (value !== undefined) addValue(lexer, lexer.frames.at(-1)!, value)
}

function readQuoted(lexer: Lexer, frame: Frame, code: number): void {
  if (code === END) throw new Complaint('unexpected end of statement while looking for matching double-quote')
  if (code === DOLLAR) readDollar(lexer, frame)
  else if (code === lexer.escape) frame.result += readQuotedEscape(lexer)
  else frame.result += show(next(lexer))
}

function readPart(lexer: Lexer, frame: Frame, code: number): void {
  const { ignoreQuotes } = lexer.options
  if (code === DOLLAR) readDollar(lexer, frame)
  else if (code === LESS_THAN) addSpecial(lexer, frame, readPossibleHeredoc(lexer))
  else if (code === SINGLE_QUOTE && ignoreQuotes !== true) addSpecial(lexer, frame, readSingleQuoted(lexer))
  else if (code === DOUBLE_QUOTE && ignoreQuotes !== true) openQuotes(lexer)
  else readPlain(lexer, frame)
}

function readDollar(lexer: Lexer, frame: Frame): void {
  const value = beginVariable(lexer)
  if (value !== undefined) addValue(lexer, frame, value)
}

function addSpecial(lexer: Lexer, frame: Frame, text: string): void {
  frame.result += text
  if (!frame.isQuoted) addRaw(lexer, frame, text)
}

function addValue(lexer: Lexer, frame: Frame, value: string): void {
  frame.result += value
  if (frame.isQuoted || !lexer.collectsWords) return
  for (const character of value) addCharacter(lexer, frame, character)
}

function readPlain(lexer: Lexer, frame: Frame): void {
  const code = next(lexer)
  if (code !== lexer.escape) {
    frame.result += show(code)
    addCharacter(lexer, frame, show(code))
    return
  }
  if (lexer.rawEscapes) addSpecial(lexer, frame, show(code))
  const escaped = next(lexer)
  if (escaped !== END) addSpecial(lexer, frame, show(escaped))
}

function addCharacter(lexer: Lexer, frame: Frame, character: string): void {
  if (!isSpaceCode(character.charCodeAt(0))) addRaw(lexer, frame, character)
  else if (frame.inWord && lexer.word !== '') {
    frame.words.push(lexer.word)
    lexer.word = ''
    frame.inWord = false
  }
}

function addRaw(lexer: Lexer, frame: Frame, text: string): void {
  if (!lexer.collectsWords) return
  lexer.word += text
  frame.inWord = true
}

function finishWords(lexer: Lexer, frame: Frame): void {
  if (lexer.word !== '') frame.words.push(lexer.word)
  lexer.word = ''
  frame.inWord = false
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
