import { defineCommand } from '../../define-command.ts'
import { manifestRemove } from '../../flags.ts'

export const ManifestRemoveCommand = defineCommand(manifestRemove, async ({ args, flags }, io) => {
  const [list = '', digest = ''] = args
  const library = await import('@ts-oci/builder')
  await library.removeFromManifestList(list, digest, { store: flags.store, signal: io.signal })
  return 0
})
