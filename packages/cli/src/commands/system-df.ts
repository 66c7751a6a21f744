import { defineCommand } from '../define-command.ts'
import { systemDf } from '../flags.ts'
import { renderSpace, renderSpaceInFull } from '../render/space.ts'
import { UsageError } from '../usage-error.ts'

export const SystemDfCommand = defineCommand(systemDf, async ({ flags }, io) => {
  const isTable = flags.format === undefined || flags.format === 'table'
  if (flags.verbose && !isTable)
    throw new UsageError('the verbose and the format options conflict', {
      hint: 'tsbuild du --format TEMPLATE fills one for each record',
    })
  const library = await import('@ts-oci/builder')
  const options = { store: flags.store, signal: io.signal }
  const [images, records] = [
    await library.images({ ...options, withPlatforms: true }),
    await library.diskUsage(options),
  ]
  io.stdout.write(flags.verbose ? renderSpaceInFull(images, records) : await renderSpace(images, records, flags.format))
  return 0
})
