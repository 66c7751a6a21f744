import { stripVTControlCharacters } from 'node:util'

/**
 * Text of a step as it may stand in a live display: the last state of a line that was rewritten by carriage returns, with
 * nothing that moves the cursor or talks to the terminal.
 */
export function safeLine(text: string): string {
  const last = text.replace(/\r+$/, '').split('\r').at(-1) ?? ''
  return stripVTControlCharacters(last)
    .replaceAll('\t', '    ')
    .replaceAll(/[\u0000-\u001f\u007f-\u009f]/g, '')
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
