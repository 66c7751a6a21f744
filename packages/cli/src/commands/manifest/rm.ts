import { defineCommand } from '../../define-command.ts'
import { manifestRm } from '../../flags.ts'
import { renderError } from '../../render/errors.ts'

export const ManifestRmCommand = defineCommand(manifestRm, async ({ args, flags }, io) => {
  const library = await import('@ts-oci/builder')
  let status = 0
  for (const list of args) {
    try {
      await library.removeManifestList(list, { store: flags.store, signal: io.signal })
    } catch (error) {
      // The others go all the same, as Docker does.
      io.stderr.write(renderError(error, io.isColored))
      status = 1
    }
  }
  return status
})
