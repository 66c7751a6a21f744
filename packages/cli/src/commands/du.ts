import { defineCommand } from '../define-command.ts'
import { du } from '../flags.ts'
import { renderTotals, renderUsage } from '../render/usage.ts'
import { UsageError } from '../usage-error.ts'

export const DuCommand = defineCommand(du, async ({ flags }, io) => {
  if (flags.verbose && flags.format !== undefined)
    throw new UsageError('--format and --verbose cannot be used together', { hint: '--verbose is --format=pretty' })
  const format = flags.verbose ? 'pretty' : flags.format === 'table' ? undefined : flags.format
  const library = await import('@ts-oci/builder')
  const records = await library.diskUsage({ store: flags.store, filters: flags.filter, signal: io.signal })
  io.stdout.write(await renderUsage(records, format))
  // As buildx: of a part there is no sum.
  if ((format === undefined || format === 'pretty') && flags.filter.length === 0) io.stdout.write(renderTotals(records))
  return 0
})
