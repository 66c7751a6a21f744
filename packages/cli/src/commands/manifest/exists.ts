import { defineCommand } from '../../define-command.ts'
import { manifestExists } from '../../flags.ts'

export const ManifestExistsCommand = defineCommand(manifestExists, async ({ args, flags }, io) => {
  const library = await import('@ts-oci/builder')
  const found = await library.readManifestList(args[0] ?? '', { store: flags.store, signal: io.signal })
  return found === undefined ? 1 : 0
})
