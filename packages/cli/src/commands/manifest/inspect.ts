import { defineCommand } from '../../define-command.ts'
import { manifestInspect } from '../../flags.ts'
import { listRegistries } from './options.ts'

export const ManifestInspectCommand = defineCommand(manifestInspect, async ({ args, flags }, io) => {
  const [name = ''] = args
  const library = await import('@ts-oci/builder')
  const common = { store: flags.store, signal: io.signal }
  const own = await library.readManifestList(name, common)
  const bytes = own ?? (await library.inspectRemote(name, { ...common, ...listRegistries(flags) })).bytes
  const value = JSON.parse(Buffer.from(bytes).toString('utf8')) as { manifests?: readonly object[] }
  // As Docker: a list by three blanks and with the size before the digest, the manifest of an image by tabs.
  const { manifests } = value
  const shown = manifests === undefined ? value : { ...value, manifests: manifests.map(sizeFirst) }
  io.stdout.write(`${JSON.stringify(shown, null, manifests === undefined ? '\t' : 3)}\n`)
  return 0
})

function sizeFirst(entry: {
  readonly mediaType?: unknown
  readonly size?: unknown
  readonly digest?: unknown
}): object {
  const { mediaType, size, digest, ...more } = entry
  return { mediaType, size, digest, ...more }
}
