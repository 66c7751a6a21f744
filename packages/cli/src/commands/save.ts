import type { SaveFormat } from '@ts-oci/builder'
import { registryOptions } from '../common-options.ts'
import { defineCommand } from '../define-command.ts'
import { save } from '../flags.ts'
import { withProgress } from '../render/with-progress.ts'
import { refuseTerminal } from '../refuse-terminal.ts'

export const SaveCommand = defineCommand(save, async ({ args, flags }, io) => {
  refuseTerminal('save', flags.output, io)
  const library = await import('@ts-oci/builder')
  const common = { store: flags.store, platform: flags.platform, signal: io.signal, ...registryOptions(flags) }
  // Docker says nothing, and progress beside an archive on standard output would be in the way of scripts.
  const isShown = flags.progress !== undefined && !flags.quiet
  await withProgress({ progress: flags.progress, quiet: !isShown }, 'Saving', io, (onProgress) =>
    library.save(args, { ...common, onProgress, output: flags.output, format: flags.format as SaveFormat }),
  )
  return 0
})
