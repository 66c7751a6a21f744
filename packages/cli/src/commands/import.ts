import { defineCommand } from '../define-command.ts'
import { importImage } from '../flags.ts'

export const ImportCommand = defineCommand(importImage, async ({ args, flags }, io) => {
  const [source = '', name] = args
  const library = await import('@ts-oci/builder')
  const { change: changes, message, platform, store } = flags
  const stdin = source === '-' ? io.stdin : undefined
  const options = { store, name, changes, message, platform, stdin, signal: io.signal }
  const { id } = await library.importImage(source, options)
  io.stdout.write(`${id}\n`)
  return 0
})
