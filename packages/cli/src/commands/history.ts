import type { HistoryRow } from '@ts-oci/builder'
import { defineCommand } from '../define-command.ts'
import { history } from '../flags.ts'
import { ellipsis, shortId } from '../render/ids.ts'
import { renderListing } from '../render/listing.ts'
import { ageOf, humanSize } from '../render/units.ts'

const createdByLength = 45

export const HistoryCommand = defineCommand(history, async ({ args, flags }, io) => {
  const library = await import('@ts-oci/builder')
  const found = await library.history(args[0] ?? '', {
    store: flags.store,
    platform: flags.platform,
    signal: io.signal,
  })
  const rows = found.map((row) => rowOf(row, flags['no-trunc'], flags.human))
  const columns = [
    { header: 'IMAGE', field: 'ID' },
    { header: flags.human ? 'CREATED' : 'CREATED AT', field: 'CreatedSince' },
    { header: 'CREATED BY', field: 'CreatedBy' },
    { header: 'SIZE', field: 'Size' },
    { header: 'COMMENT', field: 'Comment' },
  ] as const
  const listing = {
    columns,
    format: flags.format,
    only: flags.quiet ? ('ID' as const) : undefined,
    headers: { CreatedAt: 'CREATED AT', CreatedSince: 'CREATED' },
    type: 'image.historyContext',
  }
  io.stdout.write(await renderListing(rows, listing))
  return 0
})

function rowOf(row: HistoryRow, isLong: boolean, isHuman: boolean) {
  const createdBy = row.createdBy.replaceAll('\t', ' ')
  const createdAt = row.createdMs === undefined ? '' : new Date(row.createdMs).toISOString().replace('.000Z', 'Z')
  return {
    ID: isLong ? row.id : shortId(row.id),
    CreatedAt: createdAt,
    CreatedSince: isHuman ? ageOf(row.createdMs) : createdAt,
    CreatedBy: isLong ? createdBy : ellipsis(createdBy, createdByLength),
    Size: isHuman ? humanSize(row.sizeBytes) : String(row.sizeBytes),
    Comment: row.comment,
  }
}
