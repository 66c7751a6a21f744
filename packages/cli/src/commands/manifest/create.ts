import { defineCommand } from '../../define-command.ts'
import { manifestCreate } from '../../flags.ts'
import { listRegistries } from './options.ts'

export const ManifestCreateCommand = defineCommand(manifestCreate, async ({ args, flags }, io) => {
  const [list = '', ...images] = args
  const library = await import('@ts-oci/builder')
  const { store, amend, all } = flags
  const options = { store, amend, all, signal: io.signal, ...listRegistries(flags) }
  await library.createManifestList(list, images, options)
  io.stdout.write(`Created manifest list ${list}\n`)
  return 0
})
