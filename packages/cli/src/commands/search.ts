import type { ImageSummary } from '@ts-oci/builder'
import { defineCommand } from '../define-command.ts'
import { search } from '../flags.ts'
import { imageFilter } from '../image-filter.ts'
import { ellipsis } from '../render/ids.ts'
import { renderListing } from '../render/listing.ts'
import { UsageError } from '../usage-error.ts'

const defaultLimit = 25
const descriptionLength = 45

const columns = [
  { header: 'NAME', field: 'Name' },
  { header: 'DESCRIPTION', field: 'Description' },
  { header: 'STARS', field: 'StarCount' },
  { header: 'OFFICIAL', field: 'IsOfficial' },
] as const

/** Of images, the one that says what it is. */
const DESCRIPTION = 'org.opencontainers.image.description'

export const SearchCommand = defineCommand(search, async ({ args, flags }, io) => {
  const term = (args[0] ?? '').toLowerCase()
  for (const filter of flags.filter) refuseOfHub(filter)
  const limit = flags.limit === undefined ? defaultLimit : Number(flags.limit)
  const library = await import('@ts-oci/builder')
  const all = await library.images({ store: flags.store, withLabels: true, signal: io.signal })
  const fits = imageFilter(flags.filter, { all, parseTime: library.parseTimeBound, nowMs: Date.now() })
  const found = all.filter((image) => image.repository !== '<none>' && isFound(image, term) && fits(image))
  // A name of which the repository begins so is meant before one that has it somewhere.
  const sorted = found.toSorted((a, b) => Number(b.repository.startsWith(term)) - Number(a.repository.startsWith(term)))
  const rows = sorted.slice(0, limit).map((image) => rowOf(image, flags['no-trunc']))
  const listing = { columns, format: flags.format, only: undefined, type: 'search.searchContext' }
  io.stdout.write(await renderListing(rows, { ...listing, headers: { IsAutomated: 'AUTOMATED' } }))
  return 0
})

/** What Docker Hub knows of a repository, and no image says of itself. */
function refuseOfHub(filter: string): void {
  if (!/^\s*(is-official|is-automated|stars)\s*=/.test(filter)) return
  throw new UsageError(`--filter ${filter} asks Docker Hub, and search looks into the store`, {
    hint: 'skopeo list-tags docker://NAME lists the tags of a name in a registry; hub.docker.com searches Docker Hub',
  })
}

function isFound({ repository, tag, labels = {} }: ImageSummary, term: string): boolean {
  const texts = [`${repository}:${tag}`, ...Object.entries(labels).flat()]
  return texts.some((text) => text.toLowerCase().includes(term))
}

function rowOf({ repository, tag, labels = {} }: ImageSummary, isLong: boolean) {
  const description = (labels[DESCRIPTION] ?? '').replaceAll(/\s+/g, ' ').trim()
  return {
    Description: isLong ? description : ellipsis(description, descriptionLength),
    IsAutomated: '',
    IsOfficial: '',
    Name: `${repository}:${tag}`,
    StarCount: '0',
  }
}
