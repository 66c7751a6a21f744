import { registryOptions } from '../../common-options.ts'
import { defineCommand } from '../../define-command.ts'
import { imagetoolsInspect } from '../../flags.ts'

export const ImagetoolsInspectCommand = defineCommand(imagetoolsInspect, async ({ args, flags }, io) => {
  const [name = ''] = args
  // As buildx has it: a template that begins so gets the listing.
  const isListing = flags.format === undefined || flags.format.startsWith('{{.Manifest')
  const library = await import('@ts-oci/builder')
  const common = { store: flags.store, signal: io.signal, ...registryOptions(flags) }
  const found = await library.inspectRemote(name, { ...common, withConfigs: !flags.raw && !isListing })
  if (flags.raw) {
    io.stdout.write(Buffer.from(found.bytes).toString('utf8'))
    return 0
  }
  const { fillInspection, renderInspection } = await import('../../render/remote-inspection.ts')
  io.stdout.write(isListing ? renderInspection(found) : fillInspection(name, found, flags.format ?? ''))
  return 0
})
