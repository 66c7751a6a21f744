import type { ListingOptions } from './listing-types.ts'
import { renderTable } from './table.ts'

/**
 * A list as Docker prints it: a table, one field a row (`-q`), a template a row, `table TEMPLATE`, or JSON lines. A field that is no
 * text keeps its type in templates and JSON.
 * @throws UsageError of a template
 */
export async function renderListing<Row extends object>(
  rows: readonly Row[],
  options: ListingOptions<Row>,
): Promise<string> {
  const { columns, format, only } = options
  if (format !== undefined && format !== '' && format !== 'table') {
    // Most listings fill no template.
    const { fillListing } = await import('./fill-listing.ts')
    return fillListing(rows, { ...options, format })
  }
  if (only !== undefined) return rows.map((row) => `${String(row[only])}\n`).join('')
  const cells = rows.map((row) => columns.map(({ field, empty }) => String(row[field]) || (empty ?? '')))
  return renderTable([columns.map(({ header }) => header), ...cells])
}
