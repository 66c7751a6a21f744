import { defineCommand } from '../../define-command.ts'
import type { NamedManifest } from '@ts-oci/builder'
import { manifestInspect } from '../../flags.ts'
import { listRegistries } from './options.ts'

export const ManifestInspectCommand = defineCommand(manifestInspect, async ({ args, flags }, io) => {
  const [name = ''] = args
  const library = await import('@ts-oci/builder')
  const common = { store: flags.store, signal: io.signal }
  if (flags.verbose) {
    const { isList, manifests } = await library.readManifests(name, { ...common, ...listRegistries(flags) })
    const shown = manifests.map(verboseManifest)
    io.stdout.write(`${JSON.stringify(isList ? shown : shown[0], null, '\t')}\n`)
    return 0
  }
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

/** As Docker: `Raw` has the bytes, by which the digest is made. */
function verboseManifest({ name, descriptor, bytes }: NamedManifest): object {
  const { mediaType, digest, size, annotations, platform } = descriptor
  const kind = mediaType.startsWith('application/vnd.docker.') ? 'SchemaV2Manifest' : 'OCIManifest'
  const raw = Buffer.from(bytes)
  return {
    Ref: name,
    Descriptor: { mediaType, digest, size, annotations, platform },
    Raw: raw.toString('base64'),
    [kind]: JSON.parse(raw.toString('utf8')) as unknown,
  }
}
