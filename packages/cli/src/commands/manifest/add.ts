import { defineCommand } from '../../define-command.ts'
import { manifestAdd } from '../../flags.ts'
import { entryAnnotations, listRegistries } from './options.ts'

export const ManifestAddCommand = defineCommand(manifestAdd, async ({ args, flags }, io) => {
  const [list = '', ...images] = args
  const library = await import('@ts-oci/builder')
  const { store, all } = flags
  const options = { store, all, signal: io.signal, ...listRegistries(flags), ...entryAnnotations(flags) }
  for (const digest of await library.addToManifestList(list, images, options)) io.stdout.write(`${list}: ${digest}\n`)
  return 0
})
