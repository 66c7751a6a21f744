/** Physical lines of a Dockerfile, and how they continue. */
import type { SourceFile } from '../../../base/source.ts'
import type { EscapeToken } from '../expand/types.ts'
import { encodeText, isSpaceCode } from '../../../base/text.ts'

/** Bytes that a line may have, without its end. */
export const MAX_LINE_BYTES = 65_535

/** Reads one line after the other; a line that is too long ends the reading. */
export interface LineReader {
  /** Number of the line that was read last, from 1; 0 before the first. */
  line: number
  /** Reading ended at a line over {@link MAX_LINE_BYTES}. */
  tooLong: boolean
  /** The next line with its end; undefined at the end. */
  next(): string | undefined
}

export function createLineReader({ text, lineStarts }: SourceFile): LineReader {
  return {
    line: 0,
    tooLong: false,
    next() {
      const start = lineStarts[this.line]
      if (start === undefined || start >= text.length || this.tooLong) return undefined
      const line = text.slice(start, lineStarts[this.line + 1])
      if (isTooLong(line)) {
        this.tooLong = true
        return undefined
      }
      this.line++
      return line
    },
  }
}

// A character has at most three bytes for each of its code units.
function isTooLong(line: string): boolean {
  if (line.length * 3 <= MAX_LINE_BYTES) return false
  return encodeText(line).length - (line.endsWith('\n') ? 1 : 0) > MAX_LINE_BYTES
}

const LINE_FEED = 0x0a
const CARRIAGE_RETURN = 0x0d
const HASH = 0x23

/** The line without its end; all of `\r` and `\n` at the end count as that. */
export function trimLineEnd(line: string): string {
  let end = line.length
  while (end > 0 && (line.charCodeAt(end - 1) === LINE_FEED || line.charCodeAt(end - 1) === CARRIAGE_RETURN)) end--
  return end === line.length ? line : line.slice(0, end)
}

export function isCommentLine(line: string): boolean {
  return line.charCodeAt(indentation(line)) === HASH
}

export function isBlankLine(line: string): boolean {
  return indentation(line) === line.length
}

/** Number of white space characters at the beginning. */
export function indentation(line: string): number {
  let at = 0
  while (at < line.length && isSpaceCode(line.charCodeAt(at))) at++
  return at
}

/**
 * The line without its continuation; undefined when the instruction does not go on. An escape character that itself
 * is escaped continues nothing; blanks behind it do not matter.
 */
export function cutContinuation(line: string, escape: EscapeToken): string | undefined {
  let end = line.length
  while (end > 0 && (line[end - 1] === ' ' || line[end - 1] === '\t')) end--
  if (line[end - 1] !== escape || line[end - 2] === escape) return undefined
  return line.slice(0, end - 1)
}
