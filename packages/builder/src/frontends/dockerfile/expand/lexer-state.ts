/** A word that is being read: what is left of it, and what is open. */
import type { Environment, ExpandOptions } from './types.ts'

export const END = -1

/** What is open: the whole word, the word of a substitution, or double quotes. */
export interface Frame extends FrameOptions {
  readonly isQuoted: boolean
  readonly outerRawEscapes: boolean
  result: string
  readonly words: string[]
  inWord: boolean
}

export interface FrameOptions {
  /** The character that ends it. */
  readonly stop: number
  readonly rawEscapes: boolean
  /** What is told when the text ends too early, whatever goes wrong inside. */
  readonly missing?: string
  /** What the text comes to; undefined when another frame was opened for the rest. */
  readonly finish?: (text: string) => string | undefined
}

export interface Lexer {
  readonly text: string
  readonly environment: Environment
  readonly options: ExpandOptions
  readonly escape: number
  readonly matched: Set<string>
  readonly unmatched: Set<string>
  readonly maxLength: number
  /** Words are asked for, not only the text. */
  readonly collectsWords: boolean
  readonly frames: Frame[]
  at: number
  rawEscapes: boolean
  /** The word being collected. One for all levels of nesting, as in BuildKit: `a${b:-c}` yields the word `c`. */
  word: string
}

export function peek(lexer: Lexer): number {
  return lexer.at < lexer.text.length ? lexer.text.codePointAt(lexer.at)! : END
}

export function next(lexer: Lexer): number {
  const code = peek(lexer)
  if (code !== END) lexer.at += code > 0xffff ? 2 : 1
  return code
}

export function show(code: number): string {
  return code === END ? '\ufffd' : String.fromCodePoint(code)
}

/** Begins the word of a substitution: what is read goes there until its last character. */
export function openFrame(lexer: Lexer, options: FrameOptions): void {
  const outerRawEscapes = lexer.rawEscapes
  lexer.rawEscapes = options.rawEscapes
  lexer.word = ''
  lexer.frames.push({ ...options, isQuoted: false, outerRawEscapes, result: '', words: [], inWord: false })
}
