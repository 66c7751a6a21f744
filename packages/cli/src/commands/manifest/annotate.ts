import { defineCommand } from '../../define-command.ts'
import { manifestAnnotate } from '../../flags.ts'
import { entryAnnotations } from './options.ts'

export const ManifestAnnotateCommand = defineCommand(manifestAnnotate, async ({ args, flags }, io) => {
  const [list = '', image = ''] = args
  const library = await import('@ts-oci/builder')
  const options = { store: flags.store, signal: io.signal, ...entryAnnotations(flags) }
  await library.annotateManifestList(list, image, options)
  return 0
})
