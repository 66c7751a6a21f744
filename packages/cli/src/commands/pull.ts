import { registryOptions } from '../common-options.ts'
import { defineCommand } from '../define-command.ts'
import { pull } from '../flags.ts'
import { imageWord } from '../image-word.ts'
import { withProgress } from '../render/with-progress.ts'

const fromElsewhere = 'tsbuild copy SOURCE store:NAME'

export const PullCommand = defineCommand(pull, async ({ args, flags }, io) => {
  const name = imageWord(args[0] ?? '', fromElsewhere)
  const library = await import('@ts-oci/builder')
  const { platform, 'all-platforms': allPlatforms } = flags
  const common = { store: flags.store, platform, allPlatforms, signal: io.signal, ...registryOptions(flags) }
  const outcome = await withProgress(flags, 'Pulling', io, (onProgress) => {
    return library.pull(name, { ...common, onProgress })
  })
  if (!flags.quiet) {
    const status = outcome.isNew ? 'Downloaded newer image for' : 'Image is up to date for'
    io.stdout.write(`Digest: ${outcome.digest}\nStatus: ${status} ${outcome.name}\n`)
  }
  const { mismatch } = outcome
  // As Docker does: the image is taken, and whoever asked for another one is told.
  if (mismatch !== undefined)
    io.stderr.write(
      `WARNING: image with reference ${outcome.name} was found but its platform (${mismatch.actual}) does not match the specified platform (${mismatch.wanted})\n`,
    )
  io.stdout.write(`${outcome.name}\n`)
  return 0
})
