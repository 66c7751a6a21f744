import { defineCommand } from '../../define-command.ts'
import { cacheMountsRm } from '../../flags.ts'

export const CacheMountsRmCommand = defineCommand(cacheMountsRm, async ({ args, flags }, io) => {
  const library = await import('@ts-oci/builder')
  await library.removeCacheMounts(args, { store: flags.store, signal: io.signal })
  io.stdout.write(args.map((id) => `${id}\n`).join(''))
  return 0
})
