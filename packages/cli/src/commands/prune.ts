import type { Input } from '../flag-types.ts'
import { isConfirmed } from '../confirm.ts'
import { defineCommand } from '../define-command.ts'
import { prune } from '../flags.ts'
import { renderPruned, renderUsage } from '../render/usage.ts'
import { exactSize, parseBinarySize } from '../render/units.ts'
import { UsageError } from '../usage-error.ts'

type Flags = Input<typeof prune>['flags']

export const PruneCommand = defineCommand(prune, async ({ flags }, io) => {
  const options = optionsOf(flags)
  const what = flags.all ? 'all build cache' : 'all dangling build cache'
  const question = `WARNING! This will remove ${what}. Are you sure you want to continue?`
  if (!flags.force && !(await isConfirmed(question, io))) return io.signal.aborted ? 1 : 0
  const library = await import('@ts-oci/builder')
  const { removed, reclaimedBytes } = await library.prune({ store: flags.store, ...options, signal: io.signal })
  if (flags.format !== undefined && flags.format !== 'table') {
    io.stdout.write(await renderUsage(removed, flags.format))
    return 0
  }
  io.stdout.write(renderPruned(removed, flags.verbose))
  io.stdout.write(`Total:\t${exactSize(reclaimedBytes)}\n`)
  return 0
})

function optionsOf(flags: Flags) {
  if (flags.verbose && flags.format !== undefined)
    throw new UsageError('--format and --verbose cannot be used together', { hint: '--verbose prints all fields' })
  const former = sizeOf('keep-storage', flags['keep-storage'])
  const duration = flags['keep-duration']
  return {
    all: flags.all,
    filters: duration === undefined ? flags.filter : [...flags.filter, `until=${duration}`],
    reservedBytes: sizeOf('reserved-space', flags['reserved-space']) ?? former,
    maxUsedBytes: sizeOf('max-used-space', flags['max-used-space']),
    minFreeBytes: sizeOf('min-free-space', flags['min-free-space']),
  }
}

function sizeOf(flag: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const bytes = parseBinarySize(text)
  if (bytes === undefined)
    throw new UsageError(`invalid argument "${text}" for --${flag}`, { hint: 'as in 10GB or 512mb' })
  return bytes
}
