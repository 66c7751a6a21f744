/* oxlint-disable no-control-regex -- control characters are what this is about */

/** What a terminal does something for: C0 but tab and line feed, DEL, C1, and the marks that turn the direction of text. */
const CONTROLS = String.raw`[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]`
const HAS_CONTROLS = new RegExp(CONTROLS)

/**
 * A sequence as ECMA-48 has it: a string for the terminal (title, clipboard, …) with its end, a control sequence, a
 * single escape; and what else is a control character, the rest of a broken sequence included. Each part ends at the next
 * control character, so that the work grows with the text alone.
 */
const SEQUENCES = new RegExp(
  [
    String.raw`(?:\u001b[\]PX^_]|[\u0090\u0098\u009d-\u009f])[^\u0000-\u001f\u007f-\u009f]*(?:\u0007|\u001b\\|\u009c)`,
    String.raw`(?:\u001b\[|\u009b)[0-?]*[ -/]*[@-~]`,
    String.raw`\u001b[ -/]*[0-~]`,
    CONTROLS,
  ].join('|'),
  'g',
)
const COLOR = /^\u001b\[[0-9;:]*m$/

/**
 * Text that others wrote (a step, an image, a registry, a name) as a terminal may have it: lines, tabs and colours stay,
 * nothing moves the cursor, clears, sets a title, writes the clipboard or answers. The one border of all that is printed.
 */
export function forTerminal(text: string): string {
  if (!HAS_CONTROLS.test(text)) return text
  return text.replace(SEQUENCES, (sequence) => (COLOR.test(sequence) ? sequence : ''))
}

/** The same of one line of a step's output: a colour ends with it, so that what follows is not in it. */
export function outputLine(text: string): string {
  const line = forTerminal(text)
  const last = line.lastIndexOf('\u001b[')
  if (last < 0 || /^\u001b\[0?m/.test(line.slice(last, last + 4))) return line
  return `${line}\u001b[0m`
}

/** A name on one line: a line feed in it would begin a line that is not ours. */
export function nameLine(text: string): string {
  return forTerminal(text.replaceAll(/\r?\n/g, ' '))
}

/** Text as it may stand in a live display: without colours as well. */
export function safeLine(text: string): string {
  return afterReturns(text).replaceAll('\t', '    ').replaceAll('\n', ' ').replace(SEQUENCES, '')
}

/** The last state of a line that was rewritten by carriage returns. */
function afterReturns(text: string): string {
  let end = text.length
  while (end > 0 && text[end - 1] === '\r') end--
  return end === text.length && !text.includes('\r') ? text : text.slice(text.lastIndexOf('\r', end - 1) + 1, end)
}

/** JSON that a terminal may show: what JSON leaves as it is and a terminal acts on is escaped, which means the same. */
export function jsonText(value: unknown, indent?: number): string {
  return JSON.stringify(value, null, indent)?.replaceAll(
    /[\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

/** Cuts text to a number of terminal cells. */
export function fit(text: string, cells: number): string {
  let width = 0
  let end = 0
  for (const char of text) {
    width += cellsOf(char)
    if (width > cells) return text.slice(0, end)
    end += char.length
  }
  return text
}

/** Terminal cells of a text. */
export function cellWidth(text: string): number {
  let width = 0
  for (const char of text) width += cellsOf(char)
  return width
}

/** East Asian wide and emoji take two cells, combining marks none; a close estimate is enough to not break lines. */
function cellsOf(char: string): number {
  const code = char.codePointAt(0) ?? 0
  if (code < 0x300) return 1
  if (/\p{Mn}/u.test(char)) return 0
  const isWide =
    (code >= 0x1100 && code <= 0x115f) ||
    (code >= 0x2e80 && code <= 0xa4cf) ||
    (code >= 0xac00 && code <= 0xd7a3) ||
    (code >= 0xf900 && code <= 0xfaff) ||
    (code >= 0xfe30 && code <= 0xfe6f) ||
    (code >= 0xff00 && code <= 0xff60) ||
    (code >= 0x1f300 && code <= 0x1faff) ||
    (code >= 0x20000 && code <= 0x3fffd)
  return isWide ? 2 : 1
}
