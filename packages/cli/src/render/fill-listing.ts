import type { ListingOptions } from './listing-types.ts'
import { alignTabs } from './tabs.ts'
import { forTerminal } from './terminal-text.ts'
import { compileTemplate } from '../go-template/fill-template.ts'
import { anyType, mapType, pointerType, stringType, type StructField } from '../go-template/types.ts'

/** Rows through a template: one a row, or with `table ` before it a table whose headers are those of its fields. */
export function fillListing<Row extends object>(
  rows: readonly Row[],
  { columns, format, headers, type = 'row', fields }: ListingOptions<Row> & { readonly format: string },
): string {
  const isTable = format.startsWith('table')
  const template = compileTemplate(templateOf(format))
  const names = fields ?? ([...new Set(rows.flatMap((row) => Object.keys(row)))] as (keyof Row & string)[])
  const rowType = pointerType({ kind: 'struct', name: type, fields: fieldsOf(rows, names), isRow: true })
  const lines = rows.map((row) => `${template(row, { type: rowType })}\n`).join('')
  if (!isTable) return lines
  const titles: Record<string, string | undefined> = { ...headers }
  for (const { field, header } of columns) titles[field] = header
  return forTerminal(
    alignTabs(`${headerOf(() => template(titles, { type: mapType(stringType), isHeader: true }))}\n${lines}`),
  )
}

function fieldsOf<Row extends object>(rows: readonly Row[], names: readonly string[]): Record<string, StructField> {
  const first = rows[0] as Readonly<Record<string, unknown>> | undefined
  const typeOf = (name: string) => (first === undefined || typeof first[name] === 'string' ? stringType : anyType)
  return Object.fromEntries(names.map((name) => [name, { type: typeOf(name) }]))
}

/** The lines that Docker makes of `json`, and of `\t` and `\n` as a shell hands them over. */
function templateOf(format: string): string {
  if (format === 'json') return '{{json .}}'
  const text = format.startsWith('table') ? format.slice('table'.length) : format
  return text
    .replaceAll(/^ +| +$/g, '')
    .replaceAll(String.raw`\t`, '\t')
    .replaceAll(String.raw`\n`, '\n')
}

/** A template that has no headers fails in its rows, not here: what asks a header for the length of a list, say. */
function headerOf(fill: () => string): string {
  try {
    return fill()
  } catch {
    return ''
  }
}
