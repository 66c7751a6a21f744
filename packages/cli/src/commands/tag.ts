import { defineCommand } from '../define-command.ts'
import { tag } from '../flags.ts'

export const TagCommand = defineCommand(tag, async ({ args, flags }, io) => {
  const library = await import('@ts-oci/builder')
  await library.tag(args[0] ?? '', args[1] ?? '', { store: flags.store, signal: io.signal })
  return 0
})
