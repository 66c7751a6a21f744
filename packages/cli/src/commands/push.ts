import { registryOptions } from '../common-options.ts'
import { defineCommand } from '../define-command.ts'
import { push } from '../flags.ts'
import { imageWord } from '../image-word.ts'
import { withProgress } from '../render/with-progress.ts'

const toElsewhere = 'tsbuild copy store:NAME TARGET'

export const PushCommand = defineCommand(push, async ({ args, flags }, io) => {
  const [image = '', ...targets] = args
  const words = [image, ...targets].map((word) => imageWord(word, toElsewhere))
  const library = await import('@ts-oci/builder')
  const common = { store: flags.store, signal: io.signal, ...registryOptions(flags) }
  const outcome = await withProgress(flags, 'Pushing', io, (onProgress) => {
    return library.push(words[0] ?? '', { ...common, onProgress, destination: words[1], platform: flags.platform })
  })
  if (flags.digestfile !== undefined) {
    const { writeAnswer } = await import('../build/answer-file.ts')
    await writeAnswer({ what: 'digest', path: flags.digestfile }, outcome.digest)
  }
  const tag = /:([^:/]+)$/.exec(outcome.name.replace(/@.*/, ''))?.[1] ?? 'latest'
  io.stdout.write(flags.quiet ? `${outcome.name}\n` : `${tag}: digest: ${outcome.digest} size: ${outcome.sizeBytes}\n`)
  return 0
})
