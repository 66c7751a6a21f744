import type { ExpandedText, Text } from './types.ts'

/**
 * Text of a state in which variables are replaced, and quotes and escapes read, as in a Dockerfile.
 * @example
 * image('node:24').env('PATH', expand('/opt/bin:$PATH'))
 */
export function expand(text: string): ExpandedText {
  return { expand: text }
}

/** A word of the Dockerfile language that means this text. */
export function literal(text: Text): string {
  return typeof text === 'string' ? text.replace(/[\\'"$]/g, '\\$&') : text.expand
}

/** The text as it is shown. */
export function shownText(text: Text): string {
  return typeof text === 'string' ? text : text.expand
}

/** The first line, with dots when there is more: what is shown of a command is one line. */
export function firstLine(text: string): string {
  const end = text.indexOf('\n')
  return end === -1 || end === text.length - 1 ? text.trimEnd() : `${text.slice(0, end)}...`
}
