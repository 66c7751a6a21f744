/** How the arguments of an instruction are cut: three ways, one of them chosen by the keyword. */
import type { EscapeToken } from '../expand/types.ts'
import { Complaint } from '../expand/complaint.ts'
import { isSpaceCode, trimLeft } from '../../../base/text.ts'

const BLANKS = /[\t\v\f\r ]+/
const ALL_BLANKS = /[\t\v\f\r ]+/g

/** Cuts at the first run of blanks; the rest is undefined when there is none. */
export function cutAtBlanks(text: string): [string, string | undefined] {
  const match = BLANKS.exec(text)
  if (match === null) return [text, undefined]
  return [text.slice(0, match.index), text.slice(match.index + match[0].length)]
}

/** Cuts at every run of blanks; quotes mean nothing here. */
export function splitBlanks(text: string): string[] {
  return text === '' ? [] : text.split(ALL_BLANKS)
}

/**
 * Cuts into words at white space outside quotes. Quotes and escapes stay in the words, for the expansion to read;
 * an escape at the very end is dropped.
 */
export function splitWords(text: string, escape: EscapeToken): string[] {
  const words: string[] = []
  let at = 0
  while (at < text.length) {
    while (at < text.length && isSpaceCode(text.charCodeAt(at))) at++
    if (at >= text.length) break
    const start = at
    at = endOfWord(text, at, escape)
    const word = text.slice(start, at < 0 ? -1 : at)
    if (word !== '') words.push(word.isWellFormed() ? word : word.toWellFormed())
    if (at < 0) break
  }
  return words
}

const SINGLE_QUOTE = 0x27
const DOUBLE_QUOTE = 0x22

// Offset behind the word; -1: the text ends with an escape that is not part of the word.
function endOfWord(text: string, start: number, escape: EscapeToken): number {
  const escapeCode = escape.charCodeAt(0)
  let quote = 0
  for (let at = start; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === escapeCode && quote !== SINGLE_QUOTE) {
      if (at + 1 === text.length) return -1
      at++
    } else if (quote !== 0) {
      if (code === quote) quote = 0
    } else if (code === SINGLE_QUOTE || code === DOUBLE_QUOTE) quote = code
    else if (isSpaceCode(code)) return at
  }
  return text.length
}

/**
 * Reads a JSON array of strings. Undefined when the text is none (the shell form is meant then).
 * @throws Complaint when it is valid JSON but holds something else than strings.
 */
export function parseJsonForm(text: string): string[] | undefined {
  const json = trimLeft(text)
  if (!json.startsWith('[')) return undefined
  const elements = readJson(json)
  if (elements === undefined || isBeyondLimits(elements)) return undefined
  if (!elements.every((element) => typeof element === 'string')) {
    throw new Complaint('when using JSON array syntax, arrays must be comprised of strings only')
  }
  return elements.map((element) => element.toWellFormed())
}

function readJson(text: string): unknown[] | undefined {
  try {
    return JSON.parse(text.toWellFormed()) as unknown[]
  } catch {
    return undefined
  }
}

/** Deeper nesting is refused by BuildKit's reader of JSON. */
const MAX_DEPTH = 10_000

// A number beyond the range of a double, or too deep a nesting, is an error of the text for BuildKit: no JSON at all.
function isBeyondLimits(elements: readonly unknown[]): boolean {
  let level: unknown[] = [...elements]
  for (let depth = 1; level.length > 0; depth++) {
    if (depth > MAX_DEPTH) return true
    if (level.some((value) => typeof value === 'number' && !Number.isFinite(value))) return true
    level = level.flatMap((value) => (typeof value === 'object' && value !== null ? Object.values(value) : []))
  }
  return false
}

/** Reads one JSON string; undefined when the text is none. */
export function readJsonString(text: string): string | undefined {
  const elements = readJson(`[${text}]`)
  const [element] = elements ?? []
  return elements?.length === 1 && typeof element === 'string' ? element : undefined
}
