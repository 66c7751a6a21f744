import { defineCommand } from '../define-command.ts'
import { rmi } from '../flags.ts'
import { renderError } from '../render/errors.ts'

export const RmiCommand = defineCommand(rmi, async ({ args, flags }, io) => {
  const library = await import('@ts-oci/builder')
  let status = 0
  for (const image of args) {
    try {
      const { store, force, platform: platforms } = flags
      const outcome = await library.remove(image, { store, force, platforms, signal: io.signal })
      for (const name of outcome.untagged) io.stdout.write(`Untagged: ${name}\n`)
      for (const digest of outcome.deleted) io.stdout.write(`Deleted: ${digest}\n`)
    } catch (error) {
      // The others are removed all the same, as Docker does.
      const isGone = (error as { code?: unknown }).code === 'OCI_IMAGE_NOT_FOUND'
      io.stderr.write(renderError(error, io.isColored))
      if (!(flags.force && isGone)) status = 1
    }
  }
  return status
})
