import type { UsageRecord } from '@ts-oci/builder'
import { renderListing } from './listing.ts'
import { nameLine } from './terminal-text.ts'
import { ageOf, exactSize, goTime } from './units.ts'

/** A record as buildx's templates name its fields; in their order, which JSON has. */
interface UsageRow {
  readonly CreatedAt: string
  readonly Description: string
  readonly ID: string
  readonly LastUsedAt: string
  readonly Mutable: boolean
  readonly Parents: readonly string[] | null
  readonly Reclaimable: boolean
  readonly Shared: boolean
  readonly Size: string
  readonly Type: string
  readonly UsageCount: number
}

function rowOf(record: UsageRecord, isTable: boolean): UsageRow {
  return {
    CreatedAt: goTime(record.createdMs),
    Description: record.description,
    ID: isTable && record.isMutable ? `${record.id}*` : record.id,
    LastUsedAt: record.usedMs === undefined ? '' : ageOf(record.usedMs),
    Mutable: record.isMutable,
    Parents: record.parents.length === 0 ? null : record.parents,
    Reclaimable: !record.isInUse,
    Shared: record.isShared,
    Size: `${exactSize(record.sizeBytes)}${isTable && record.isShared ? '*' : ''}`,
    Type: record.type,
    UsageCount: record.usageCount,
  }
}

const columns = [
  { header: 'ID', field: 'ID' },
  { header: 'RECLAIMABLE', field: 'Reclaimable' },
  { header: 'SIZE', field: 'Size' },
  { header: 'LAST ACCESSED', field: 'LastUsedAt' },
] as const

/** Headers of columns that only a `table` template has. */
const headers = { CreatedAt: 'CREATED AT', UsageCount: 'USAGE COUNT', LastUsedAt: 'LAST ACCESSED' }

/** Records as `docker buildx du` prints them: smallest first, `pretty` all there is to say of each. */
export async function renderUsage(records: readonly UsageRecord[], format: string | undefined): Promise<string> {
  const sorted = records.toSorted((a, b) => a.sizeBytes - b.sizeBytes || (a.id < b.id ? -1 : 1))
  if (format === 'pretty') return sorted.map((record) => `${pretty(rowOf(record, false))}\n`).join('')
  const isTable = format === undefined || format.startsWith('table')
  const rows = sorted.map((record) => rowOf(record, isTable))
  return renderListing(rows, { columns, format, only: undefined, headers, type: 'commands.diskusageContext' })
}

/** What is known of a record beside its id and parents. */
function facts(row: UsageRow): readonly (readonly [string, string])[] {
  const all: readonly (readonly [string, string])[] = [
    ['Created at', row.CreatedAt],
    ['Mutable', String(row.Mutable)],
    ['Reclaimable', String(row.Reclaimable)],
    ['Shared', String(row.Shared)],
    ['Size', row.Size],
    ['Description', nameLine(row.Description)],
    ['Usage count', String(row.UsageCount)],
    ['Last used', row.LastUsedAt],
    ['Type', row.Type],
  ]
  return all.filter(([, value]) => value !== '')
}

function pretty(row: UsageRow): string {
  const parents = row.Parents ?? []
  return [
    `ID:           ${row.ID}\n`,
    ...(parents.length === 0 ? [] : ['Parents:\n', ...parents.map((id) => ` - ${id}\n`)]),
    ...facts(row).map(([name, value]) => `${`${name}:`.padEnd(14)}${value}\n`),
  ].join('')
}

/** The sums below the table. */
export function renderTotals(records: readonly UsageRecord[]): string {
  const sum = (some: readonly UsageRecord[]): number => some.reduce((bytes, { sizeBytes }) => bytes + sizeBytes, 0)
  const shared = sum(records.filter(({ isShared }) => isShared))
  const total = sum(records)
  const lines: readonly (readonly [string, number])[] = [
    ...(shared > 0
      ? ([
          ['Shared', shared],
          ['Private', total - shared],
        ] as const)
      : []),
    ['Reclaimable', sum(records.filter(({ isInUse }) => !isInUse))],
    ['Total', total],
  ]
  return lines.map(([name, bytes]) => `${tabbed(`${name}:`)}${exactSize(bytes)}\n`).join('')
}

/** What went, as `docker buildx prune` prints it, which lines columns up by tabs. */
export function renderPruned(records: readonly UsageRecord[], isVerbose: boolean): string {
  const rows = records.map((record) => rowOf(record, !isVerbose))
  if (isVerbose) return rows.map((row) => `${verbose(row)}\n`).join('')
  if (rows.length === 0) return ''
  const line = (cells: readonly [string, string, string, string]): string =>
    `${tabbed(cells[0], 48)}${tabbed(cells[1])}${tabbed(cells[2])}${cells[3]}`.trimEnd()
  const lines = rows.map((row) => line([row.ID.padEnd(40), String(row.Reclaimable), row.Size, row.LastUsedAt]))
  return [line(['ID', 'RECLAIMABLE', 'SIZE', 'LAST ACCESSED']), ...lines].map((one) => `${one}\n`).join('')
}

function verbose(row: UsageRow): string {
  const parents = (row.Parents ?? []).join(',')
  return [['ID', row.ID], ...(parents === '' ? [] : [['Parent', parents]]), ...facts(row)]
    .map(([name, value]) => `${tabbed(`${name}:`)}${value}\n`)
    .join('')
}

/** Followed by tabs, so that what comes next begins at `width`. */
function tabbed(text: string, width = 16): string {
  return text + '\t'.repeat(Math.max(1, Math.ceil((width - text.length) / 8)))
}
