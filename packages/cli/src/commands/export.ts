import { defineCommand } from '../define-command.ts'
import { exportImage } from '../flags.ts'
import { refuseTerminal } from '../refuse-terminal.ts'

export const ExportCommand = defineCommand(exportImage, async ({ args, flags }, io) => {
  refuseTerminal('export', flags.output, io)
  const { store, platform, output } = flags
  const library = await import('@ts-oci/builder')
  await library.exportFiles(args[0] ?? '', { store, platform, output, signal: io.signal })
  return 0
})
