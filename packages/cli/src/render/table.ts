import { nameLine } from './terminal-text.ts'

/** Rows as Docker's tables: columns at least 10 wide, 3 blanks between them, nothing after the last cell. */
export function renderTable(texts: readonly (readonly string[])[]): string {
  const rows = texts.map((row) => row.map(nameLine))
  const widths: number[] = []
  for (const row of rows) {
    row.forEach((cell, column) => {
      // The last cell of a row is free: it does not widen its column.
      if (column < row.length - 1) widths[column] = Math.max(widths[column] ?? 10, widthOf(cell) + 3)
    })
  }
  return rows
    .map((row) => `${row.map((cell, i) => (i < row.length - 1 ? pad(cell, widths[i] ?? 0) : cell)).join('')}\n`)
    .join('')
}

function pad(cell: string, width: number): string {
  return cell + ' '.repeat(Math.max(0, width - widthOf(cell)))
}

function widthOf(cell: string): number {
  return Array.from(cell).length
}
