import { registryOptions } from '../common-options.ts'
import { defineCommand } from '../define-command.ts'
import { pull } from '../flags.ts'
import { withProgress } from '../render/with-progress.ts'

export const PullCommand = defineCommand(pull, async ({ args, flags }, session) => {
  const library = await import('@ts-oci/builder')
  const common = { store: flags.store, platform: flags.platform, signal: session.signal, ...registryOptions(flags) }
  const outcome = await withProgress(flags, 'Pulling', session, (onProgress) => {
    return library.pull(args[0] ?? '', { ...common, onProgress })
  })
  if (!flags.quiet) {
    const status = outcome.isNew ? 'Downloaded newer image for' : 'Image is up to date for'
    session.stdout.write(`Digest: ${outcome.digest}\nStatus: ${status} ${outcome.name}\n`)
  }
  session.stdout.write(`${outcome.name}\n`)
  return 0
})
