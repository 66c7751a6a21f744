import { isConfirmed } from '../confirm.ts'
import { defineCommand } from '../define-command.ts'
import { systemPrune } from '../flags.ts'
import { renderRemoved } from '../render/removed.ts'
import { exactSize } from '../render/units.ts'

export const SystemPruneCommand = defineCommand(systemPrune, async ({ flags }, io) => {
  const images = flags.all ? 'all images without at least one container associated to them' : 'all dangling images'
  const cache = flags.all ? 'all build cache' : 'unused build cache'
  const question = `WARNING! This will remove:\n  - ${images}\n  - ${cache}\n\nAre you sure you want to continue?`
  if (!flags.force && !(await isConfirmed(question, io))) return io.signal.aborted ? 1 : 0
  const library = await import('@ts-oci/builder')
  const { store, all, filter } = flags
  const outcome = await library.pruneImages({ store, all, filters: filter, signal: io.signal })
  io.stdout.write(renderRemoved(outcome))
  // As Docker: of the cache a label says nothing, so with one it stays.
  const isOfImages = filter.some((one) => !/^\s*until\s*=/i.test(one))
  const pruned = isOfImages ? undefined : await library.prune({ store, all, filters: filter, signal: io.signal })
  const ids = pruned?.removed.map(({ id }) => id) ?? []
  if (ids.length > 0) io.stdout.write(`Deleted build cache objects:\n${ids.join('\n')}\n\n`)
  const bytes = outcome.reclaimedBytes + (pruned?.reclaimedBytes ?? 0)
  io.stdout.write(`Total reclaimed space: ${exactSize(bytes)}\n`)
  return 0
})
