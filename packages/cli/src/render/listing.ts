import { fillTemplate } from './template.ts'
import { renderTable } from './table.ts'
import { jsonText } from './terminal-text.ts'

export interface Column<Row> {
  readonly header: string
  /** Name in templates: `{{.Repository}}`. */
  readonly field: keyof Row & string
  /** What the table shows for nothing; templates and JSON leave it empty. */
  readonly empty?: string
}

export interface ListingOptions<Row> {
  readonly columns: readonly Column<Row>[]
  readonly format: string | undefined
  /** Prints this field alone, a line each. */
  readonly only: (keyof Row & string) | undefined
}

/** A list as Docker prints it: a table, one field a row (`-q`), a template a row, `table TEMPLATE`, or JSON lines. */
export function renderListing<Row extends object>(rows: readonly Row[], options: ListingOptions<Row>): string {
  const { columns, format, only } = options
  if (format === 'json') return rows.map((row) => `${jsonText(row)}\n`).join('')
  if (format?.startsWith('table ')) return templateTable(rows, format.slice('table '.length), columns)
  if (format !== undefined && format !== 'table') return rows.map((row) => `${fillTemplate(format, row)}\n`).join('')
  if (only !== undefined) return rows.map((row) => `${String(row[only])}\n`).join('')
  const cells = rows.map((row) => columns.map(({ field, empty }) => String(row[field]) || (empty ?? '')))
  return renderTable([columns.map(({ header }) => header), ...cells])
}

/** Headers come from filling the template with the names of the columns; `\t` parts the cells, as in Docker. */
function templateTable<Row extends object>(
  rows: readonly Row[],
  text: string,
  columns: readonly Column<Row>[],
): string {
  const template = text.replaceAll(String.raw`\t`, '\t')
  const headers = Object.fromEntries(Object.keys(rows[0] ?? {}).map((field) => [field, field.toUpperCase()]))
  for (const { field, header } of columns) headers[field] = header
  const lines = [fillTemplate(template, headers), ...rows.map((row) => fillTemplate(template, row))]
  return renderTable(lines.map((line) => line.split('\t')))
}
