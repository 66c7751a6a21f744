import { registryOptions } from '../common-options.ts'
import { defineCommand } from '../define-command.ts'
import { push } from '../flags.ts'
import { withProgress } from '../render/with-progress.ts'

export const PushCommand = defineCommand(push, async ({ args, flags }, io) => {
  const library = await import('@ts-oci/builder')
  const common = { store: flags.store, signal: io.signal, ...registryOptions(flags) }
  const outcome = await withProgress(flags, 'Pushing', io, (onProgress) => {
    return library.push(args[0] ?? '', { ...common, onProgress })
  })
  const tag = /:([^:/]+)$/.exec(outcome.name.replace(/@.*/, ''))?.[1] ?? 'latest'
  io.stdout.write(flags.quiet ? `${outcome.name}\n` : `${tag}: digest: ${outcome.digest} size: ${outcome.sizeBytes}\n`)
  return 0
})
