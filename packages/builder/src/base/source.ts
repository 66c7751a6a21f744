/**
 * Places in source text, and the excerpt that errors and warnings print.
 *
 * A line ends at `\n` only, as BuildKit counts them; columns count UTF-16 code
 * units, so that editors can use them as they are. Both start at 1.
 */

/** A text with a name, and where each of its lines begins. */
export interface SourceFile {
  /** Name as the user knows it, such as `Dockerfile`. */
  readonly name: string
  readonly text: string
  /** Offset of the first character of each line. */
  readonly lineStarts: readonly number[]
}

/** A point between two characters: 1-based line and 1-based column. */
export interface SourcePosition {
  readonly line: number
  readonly column: number
}

/** A stretch of one file; `end` is the position after the last character. */
export interface SourceRange {
  readonly file: SourceFile
  readonly start: SourcePosition
  readonly end: SourcePosition
}

/** Wraps a text so that offsets and positions can be converted into each other. */
export function createSourceFile(name: string, text: string): SourceFile {
  const lineStarts = [0]
  for (let at = text.indexOf('\n'); at !== -1; at = text.indexOf('\n', at + 1)) lineStarts.push(at + 1)
  return { name, text, lineStarts }
}

/** The position of an offset; offsets outside the text are moved to its nearest end. */
export function positionAt(file: SourceFile, offset: number): SourcePosition {
  const clamped = Math.max(0, Math.min(offset, file.text.length))
  let low = 0
  let high = file.lineStarts.length - 1
  while (low < high) {
    const middle = (low + high + 1) >> 1
    if (file.lineStarts[middle]! <= clamped) low = middle
    else high = middle - 1
  }
  return { line: low + 1, column: clamped - file.lineStarts[low]! + 1 }
}

/** The offset of a position. */
export function offsetAt(file: SourceFile, position: SourcePosition): number {
  const start = file.lineStarts[position.line - 1] ?? file.text.length
  return Math.min(start + position.column - 1, file.text.length)
}

/** The range between two offsets of a file. */
export function rangeBetween(file: SourceFile, startOffset: number, endOffset: number): SourceRange {
  return { file, start: positionAt(file, startOffset), end: positionAt(file, endOffset) }
}

/** The range that covers the given whole lines (1-based, inclusive), without the last line's end. */
export function rangeOfLines(file: SourceFile, firstLine: number, lastLine: number): SourceRange {
  return {
    file,
    start: { line: firstLine, column: 1 },
    end: { line: lastLine, column: lineText(file, lastLine).length + 1 },
  }
}

/** The text of one line (1-based) without its line end; empty beyond the file. */
export function lineText(file: SourceFile, line: number): string {
  const start = file.lineStarts[line - 1]
  if (start === undefined) return ''
  const next = file.lineStarts[line]
  const text = file.text.slice(start, next === undefined ? undefined : next - 1)
  return text.endsWith('\r') ? text.slice(0, -1) : text
}

/** The text that a range covers. */
export function textOf(range: SourceRange): string {
  return range.file.text.slice(offsetAt(range.file, range.start), offsetAt(range.file, range.end))
}

/**
 * The lines around a range, in the form that `docker buildx build` prints:
 * name and line, then numbered lines with `>>>` before those that are meant.
 * A single line gets four lines of surroundings, several lines get two.
 * Empty when the range lies outside the file.
 */
export function codeFrame(range: SourceRange): string {
  const { file } = range
  const total = file.lineStarts.length
  const first = range.start.line
  if (first < 1 || first > total) return ''
  const last = Math.min(Math.max(range.end.line, first), total)
  const [from, to] = widen(first, last, total)
  const rows = [`${file.name}:${first}`, '--------------------']
  for (let line = from; line <= to; line++) {
    if (to - from >= 2 * SHOWN_LINES && line === from + SHOWN_LINES) {
      line = to - SHOWN_LINES + 1
      rows.push('     | …')
    }
    const mark = line >= first && line <= last ? '>>>' : '   '
    rows.push(` ${String(line).padStart(3)} | ${mark} ${shorten(lineText(file, line))}`)
  }
  rows.push('--------------------')
  return `${rows.join('\n')}\n`
}

// An excerpt is for people: neither a heredoc of a million lines nor a line of 64 KiB is shown whole.
const SHOWN_LINES = 100
const SHOWN_CHARACTERS = 1000

function shorten(line: string): string {
  return line.length <= SHOWN_CHARACTERS ? line : `${line.slice(0, SHOWN_CHARACTERS)}…`
}

// Each round counts once itself, so a short file ends the loop as well.
function widen(first: number, last: number, total: number): [number, number] {
  const padding = first === last ? 4 : 2
  let from = first
  let to = last
  for (let added = 0; added < padding; added++) {
    if (from > 1) {
      from--
      added++
    }
    if (to !== total) {
      to++
      added++
    }
  }
  return [from, to]
}
