/** Here-documents: which words of a line begin one, and what their delimiter says. */
import { BuilderError } from '../../../base/errors.ts'
import type { Heredoc } from './ast.ts'
import { Complaint } from '../expand/complaint.ts'
import { createEnvironment, expandWords } from '../expand/expand.ts'

type HeredocStart = Omit<Heredoc, 'content'>

const HEREDOC = /^(\d*)<<(-?)([^<]*)$/
const BLANKS_IN_FRONT = /^[\t\n\f\r ]+/
const NO_VARIABLES = createEnvironment([])

/**
 * Reads one word as the start of a here-document, such as `3<<-"EOF"`; undefined when it is none.
 * @throws Complaint when its delimiter has a quote that does not end.
 */
function parseHeredocStart(word: string): HeredocStart | undefined {
  const match = HEREDOC.exec(word)
  if (match === null) return undefined
  const delimiter = match[3]!.replace(BLANKS_IN_FRONT, '')
  if (delimiter === '') return undefined
  const words = readDelimiter(delimiter, false)
  if (words.length !== 1) return undefined
  const rawWords = readDelimiter(delimiter, true)
  if (rawWords.length !== 1) {
    throw new Complaint(`internal lexing of heredoc produced inconsistent results: ${delimiter}`)
  }
  return {
    name: words[0]!,
    // A quote that vanishes when quotes are read quoted some part of the delimiter: the body is meant literally.
    expand: countQuotes(words[0]!) === countQuotes(rawWords[0]!),
    chomp: match[2] === '-',
    fd: Number(match[1]),
  }
}

/** As {@link parseHeredocStart}, with a delimiter that cannot be read counting as none. */
export function findHeredocStart(word: string): HeredocStart | undefined {
  try {
    return parseHeredocStart(word)
  } catch {
    return undefined
  }
}

/** The here-documents that the words of an instruction announce, in their order. */
export function findHeredocs(line: string): HeredocStart[] {
  return shellWords(line).flatMap((word) => parseHeredocStart(word) ?? [])
}

/** The body without the leading tabs of its lines. */
export function chompTabs(content: string): string {
  return content.replace(/(^|\n)\t+/g, '$1')
}

// A line with an open quote has no words for the lexer, and so no here-documents.
function shellWords(line: string): readonly string[] {
  try {
    return expandWords(line, NO_VARIABLES, { rawQuotes: true, rawEscapes: true, keepUnset: true })
  } catch {
    return []
  }
}

function readDelimiter(delimiter: string, rawQuotes: boolean): readonly string[] {
  try {
    return expandWords(delimiter, NO_VARIABLES, { rawQuotes, keepUnset: true })
  } catch (error) {
    throw new Complaint(error instanceof BuilderError ? error.message : String(error))
  }
}

function countQuotes(text: string): number {
  return text.replace(/[^'"]/g, '').length
}
