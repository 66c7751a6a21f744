import { cellWidth } from './terminal-text.ts'

const narrowest = 10
const between = 3

/**
 * Aligns what lies between tabs, as Docker's tables do: a column is as wide as its widest cell and three blanks, ten at least, over
 * those lines next to each other that have it. What stands behind the last tab of a line belongs to no column.
 */
export function alignTabs(text: string): string {
  const lines = text.split('\n').map((line) => line.split('\t'))
  const widths: number[][] = lines.map(() => [])
  widen(lines, widths, { from: 0, to: lines.length, column: 0 })
  return lines
    .map((cells, row) =>
      cells.map((cell, at) => cell + blanks(cell, at < cells.length - 1 ? widths[row]?.[at] : 0)).join(''),
    )
    .join('\n')
}

function blanks(cell: string, width: number | undefined): string {
  return ' '.repeat(Math.max(0, (width ?? 0) - cellWidth(cell)))
}

interface Block {
  readonly from: number
  readonly to: number
  readonly column: number
}

function widen(lines: readonly (readonly string[])[], widths: readonly number[][], { from, to, column }: Block): void {
  const has = (row: number) => row < to && column < (lines[row]?.length ?? 0) - 1
  for (let row = from; row < to; row++) {
    if (!has(row)) continue
    let end = row
    let width = narrowest
    for (; has(end); end++) width = Math.max(width, cellWidth(lines[end]?.[column] ?? '') + between)
    for (let at = row; at < end; at++) widths[at]?.push(width)
    widen(lines, widths, { from: row, to: end, column: column + 1 })
    row = end
  }
}
