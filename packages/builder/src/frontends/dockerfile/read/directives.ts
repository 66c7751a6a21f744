/** Parser directives: comments of the form `# name=value` at the very head of a file. */
import type { Directive } from './ast.ts'
import type { EscapeToken } from '../expand/types.ts'
import { Complaint } from '../expand/complaint.ts'
import { lowerCase, trimLeft } from '../../../base/text.ts'

const DIRECTIVE = /^([a-zA-Z][a-zA-Z0-9]*)[\t\n\f\r ]*=([^\n]*)$/

export type DirectiveName = Directive['name']

function isDirectiveName(name: string): name is DirectiveName {
  return name === 'syntax' || name === 'escape' || name === 'check'
}

/** Reads directives line by line, until the first line that is none. */
export interface DirectiveReader {
  /**
   * Reads the next line; undefined when it is no directive, and then no later line is one.
   * @throws Complaint when a directive comes a second time.
   */
  read(line: string): { name: DirectiveName; value: string } | undefined
}

export function createDirectiveReader(prefix: '#' | '//' = '#'): DirectiveReader {
  const seen = new Set<string>()
  let done = false
  return {
    read(line) {
      const match = done || !line.startsWith(prefix) ? null : DIRECTIVE.exec(trimLeft(line.slice(prefix.length)))
      const name = lowerCase(match?.[1] ?? '')
      const value = trimBlanks(match?.[2] ?? '')
      if (value === '' || !isDirectiveName(name)) {
        done = true
        return undefined
      }
      if (seen.has(name)) throw new Complaint(`only one ${name} parser directive can be used`)
      seen.add(name)
      return { name, value }
    },
  }
}

// By hand: an expression with blanks on both sides of the value tries every run of blanks to its end.
function trimBlanks(text: string): string {
  let start = 0
  let end = text.length
  while (start < end && BLANKS.has(text[start]!)) start++
  while (end > start && BLANKS.has(text[end - 1]!)) end--
  return text.slice(start, end)
}

const BLANKS = new Set('\t\n\f\r ')

/**
 * Reads the value of `escape`.
 * @throws Complaint
 */
export function readEscapeToken(value: string): EscapeToken {
  if (value === '\\' || value === '`') return value
  throw new Complaint(`invalid escape token '${value}' does not match \` or \\`)
}

export interface DetectedDirective {
  /** Value up to the first space: the image of `syntax`. */
  readonly value: string
  /** The whole value. */
  readonly commandLine: string
  readonly line: number
}

/**
 * Finds a directive in a text that need not be a Dockerfile. A first line `#!…` is skipped. With `anyFormat`,
 * `// name=value` lines and a JSON document with a member of that name count as well.
 */
export function detectDirective(
  text: string,
  name: DirectiveName,
  { anyFormat = false }: { anyFormat?: boolean } = {},
): DetectedDirective | undefined {
  const whole = text.startsWith('\ufeff') ? text.slice(1) : text
  const hasShebang = whole.startsWith('#!')
  const end = whole.indexOf('\n')
  const rest = hasShebang ? (end === -1 ? '' : whole.slice(end + 1)) : whole
  const skipped = hasShebang ? 1 : 0
  const found = findIn(rest, name, '#', skipped)
  if (found !== undefined || !anyFormat) return found
  return findIn(rest, name, '//', skipped) ?? findInJson(rest, name, skipped)
}

function findIn(text: string, name: DirectiveName, prefix: '#' | '//', skipped: number): DetectedDirective | undefined {
  const reader = createDirectiveReader(prefix)
  for (let start = 0, line = skipped + 1; start < text.length; line++) {
    const end = text.indexOf('\n', start)
    const content = text.slice(start, end === -1 ? undefined : end).replace(/\r$/, '')
    const directive = readQuietly(reader, content)
    if (directive === undefined) return undefined
    if (directive.name === name) return detected(directive.value, line)
    if (end === -1) return undefined
    start = end + 1
  }
  return undefined
}

// A directive that comes twice is told by the parser, not by this search.
function readQuietly(reader: DirectiveReader, line: string): { name: DirectiveName; value: string } | undefined {
  try {
    return reader.read(line)
  } catch {
    return undefined
  }
}

function detected(value: string, line: number): DetectedDirective {
  const space = value.indexOf(' ')
  return { value: space === -1 ? value : value.slice(0, space), commandLine: value, line }
}

function findInJson(text: string, name: DirectiveName, skipped: number): DetectedDirective | undefined {
  try {
    const value: unknown = (JSON.parse(text) as Record<string, unknown> | null)?.[name]
    return typeof value === 'string' ? { value, commandLine: value, line: skipped } : undefined
  } catch {
    return undefined
  }
}
