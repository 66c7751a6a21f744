import { isConfirmed } from '../confirm.ts'
import { defineCommand } from '../define-command.ts'
import { imagePrune } from '../flags.ts'
import { renderRemoved } from '../render/removed.ts'
import { exactSize } from '../render/units.ts'

export const ImagePruneCommand = defineCommand(imagePrune, async ({ flags }, io) => {
  const what = flags.all ? 'all images without at least one container associated to them' : 'all dangling images'
  const question = `WARNING! This will remove ${what}.\nAre you sure you want to continue?`
  if (!flags.force && !(await isConfirmed(question, io))) return io.signal.aborted ? 1 : 0
  const library = await import('@ts-oci/builder')
  const { store, all, filter: filters } = flags
  const outcome = await library.pruneImages({ store, all, filters, signal: io.signal })
  io.stdout.write(`${renderRemoved(outcome)}Total reclaimed space: ${exactSize(outcome.reclaimedBytes)}\n`)
  return 0
})
