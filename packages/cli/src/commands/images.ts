import type { ImageSummary } from '@ts-oci/builder'
import { defineCommand } from '../define-command.ts'
import { images } from '../flags.ts'
import { asksForLabels, imageFilter } from '../image-filter.ts'
import { wantsColor } from '../render/color.ts'
import { shortId } from '../render/ids.ts'
import { renderImageTree } from '../render/image-tree.ts'
import { renderListing } from '../render/listing.ts'
import { ageOf, dateOf, humanSize } from '../render/units.ts'
import { UsageError } from '../usage-error.ts'

export const ImagesCommand = defineCommand(images, async ({ args, flags }, io) => {
  const [wanted] = args
  const asksDigest = flags.digests || /\.Digest\b/.test(flags.format ?? '')
  // As Docker has it, `NAME` is one more pattern of a reference.
  const filters = wanted === undefined ? flags.filter : [...flags.filter, `reference=${wanted}`]
  if (flags.tree) refuseWithTree(flags)
  const library = await import('@ts-oci/builder')
  const found = await library.images({
    store: flags.store,
    withPlatforms: flags.tree,
    withLabels: asksForLabels(filters),
    signal: io.signal,
  })
  const fits = imageFilter(filters, { all: found, parseTime: library.parseTimeBound, nowMs: Date.now() })
  if (flags.tree) {
    io.stdout.write(renderImageTree(found.filter(fits), wantsColor(io.env, io.stdout.isTTY === true)))
    return 0
  }
  const rows = found
    .filter(fits)
    .flatMap((image) => digestsOf(image, asksDigest).map((digest) => rowOf(image, digest, flags['no-trunc'])))
  const columns = [
    { header: 'REPOSITORY', field: 'Repository' },
    { header: 'TAG', field: 'Tag' },
    ...(flags.digests ? [{ header: 'DIGEST', field: 'Digest' } as const] : []),
    { header: 'IMAGE ID', field: 'ID' },
    { header: 'CREATED', field: 'CreatedSince', empty: 'N/A' },
    { header: 'SIZE', field: 'Size' },
  ] as const
  const listing = {
    columns,
    format: formatOf(flags.format, flags),
    only: flags.quiet ? ('ID' as const) : undefined,
    headers: imageHeaders,
    type: 'formatter.imageContext',
  }
  io.stdout.write(await renderListing(rows, listing))
  // A table without rows looks like an empty store; scripts, which ask for ids or fields, read no more than those.
  if (rows.length === 0 && wanted !== undefined && !flags.quiet && flags.format === undefined)
    io.stderr.write(`no image of the store is called ${wanted}: ${countOf(found)}\n`)
  return 0
})

/** In Docker's words. @throws UsageError */
function refuseWithTree(flags: {
  readonly quiet: boolean
  readonly 'no-trunc': boolean
  readonly digests: boolean
  readonly format: string | undefined
}): void {
  const given = [
    ...(flags.quiet ? ['quiet'] : []),
    ...(flags['no-trunc'] ? ['no-trunc'] : []),
    ...(flags.digests ? ['digests'] : []),
    ...(flags.format === undefined ? [] : ['format']),
  ]
  if (given[0] !== undefined)
    throw new UsageError(`--${given[0]} is not yet supported with --tree`, {
      hint: 'leave one of them out',
      exitCode: 1,
    })
}

const imageHeaders = {
  Digest: 'DIGEST',
  CreatedAt: 'CREATED AT',
  Containers: 'CONTAINERS',
  SharedSize: 'SHARED SIZE',
  UniqueSize: 'UNIQUE SIZE',
  VirtualSize: 'SIZE',
} as const

/** `raw` is Docker's list of lines; a table of one's own gets the digest that was asked for. */
function formatOf(
  format: string | undefined,
  { quiet, digests }: { quiet: boolean; digests: boolean },
): string | undefined {
  if (format === 'raw') return quiet ? 'image_id: {{.ID}}' : rawFormat(digests)
  if (format?.startsWith('table ') && digests && !format.includes('{{.Digest}}')) return `${format}\t{{.Digest}}`
  return format
}

function rawFormat(hasDigest: boolean): string {
  const digest = hasDigest ? 'digest: {{.Digest}}\n' : ''
  return `repository: {{.Repository}}\ntag: {{.Tag}}\n${digest}image_id: {{.ID}}\ncreated_at: {{.CreatedAt}}\nvirtual_size: {{.Size}}\n`
}

function countOf({ length }: readonly ImageSummary[]): string {
  return length === 0 ? 'it is empty' : `tsbuild images lists the ${length === 1 ? 'one' : length} that it has`
}

/** As Docker has it: a row for each digest that a registry has the image under, where digests are asked for. */
function digestsOf({ repositoryDigests }: ImageSummary, isAsked: boolean): readonly string[] {
  if (repositoryDigests.length === 0) return ['<none>']
  return isAsked ? repositoryDigests : repositoryDigests.slice(-1)
}

function rowOf(image: ImageSummary, digest: string, isLong: boolean) {
  return {
    Repository: image.repository,
    Tag: image.tag,
    Digest: digest,
    ID: isLong ? image.id : shortId(image.id),
    // There are no containers here, and what images share is not counted: as Docker says it where it has not counted.
    Containers: 'N/A',
    SharedSize: 'N/A',
    UniqueSize: 'N/A',
    CreatedAt: dateOf(image.createdMs),
    CreatedSince: image.createdMs === undefined ? '' : ageOf(image.createdMs),
    Size: humanSize(image.sizeBytes),
    VirtualSize: humanSize(image.sizeBytes),
  }
}
