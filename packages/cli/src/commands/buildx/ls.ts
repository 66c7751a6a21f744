import { defineCommand } from '../../define-command.ts'
import { buildxLs } from '../../flags.ts'
import { renderListing } from '../../render/listing.ts'

export const BuildxLsCommand = defineCommand(buildxLs, async ({ flags }, io) => {
  const library = await import('@ts-oci/builder')
  const { version } = await import('../../help/answer.ts')
  const { store, platforms } = library.builderNode({ store: flags.store })
  const shown = (flags['no-trunc'] ? platforms : withoutVariants(platforms)).join(', ')
  const common = { Status: 'running', Buildkit: version().trim(), Platforms: shown, LastActivity: '', Error: '' }
  const node = { ...common, Name: 'default', DriverEndpoint: store }
  const rows = [{ ...node, Name: 'default*', DriverEndpoint: 'tsbuild', Status: '', Buildkit: '', Platforms: '' }]
  const columns = [
    { header: 'NAME/NODE', field: 'Name' },
    { header: 'DRIVER/ENDPOINT', field: 'DriverEndpoint' },
    { header: 'STATUS', field: 'Status' },
    { header: 'BUILDKIT', field: 'Buildkit' },
    { header: 'PLATFORMS', field: 'Platforms' },
  ] as const
  // As buildx draws it: the instance, and below it its nodes.
  const below = { ...node, Name: ' \\_ default', DriverEndpoint: ` \\_ ${store}` }
  io.stdout.write(await renderListing([...rows, below], { columns, format: flags.format, only: undefined }))
  return 0
})

/** `linux/amd64 (+3)` for an architecture with variants. */
function withoutVariants(platforms: readonly string[]): readonly string[] {
  const groups = Map.groupBy(platforms, (platform) => platform.split('/').slice(0, 2).join('/'))
  return [...groups.values()].map(([first = '', ...more]) => (more.length === 0 ? first : `${first} (+${more.length})`))
}
