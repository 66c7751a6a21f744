import { defineCommand } from '../../define-command.ts'
import { manifestPush } from '../../flags.ts'
import { imageWord } from '../../image-word.ts'
import { listRegistries } from './options.ts'

export const ManifestPushCommand = defineCommand(manifestPush, async ({ args, flags }, io) => {
  const [list = '', target] = args
  const destination = target === undefined ? undefined : imageWord(target, 'tsbuild copy --all store:NAME TARGET')
  const library = await import('@ts-oci/builder')
  const purge = flags.purge || flags.rm
  const options = { store: flags.store, purge, signal: io.signal, ...listRegistries(flags) }
  const digest = await library.pushManifestList(list, {
    ...options,
    ...(destination === undefined ? {} : { destination }),
  })
  io.stdout.write(`${digest}\n`)
  return 0
})
