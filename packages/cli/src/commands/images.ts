import type { ImageSummary } from '@ts-oci/builder'
import { defineCommand } from '../define-command.ts'
import { images } from '../flags.ts'
import { imageFilter } from '../image-filter.ts'
import { shortId } from '../render/ids.ts'
import { renderListing } from '../render/listing.ts'
import { ageOf, dateOf, humanSize } from '../render/units.ts'

export const ImagesCommand = defineCommand(images, async ({ args, flags }, session) => {
  const fits = imageFilter(flags.filter)
  const library = await import('@ts-oci/builder')
  const found = await library.images({ store: flags.store, signal: session.signal })
  const rows = found
    .filter((image) => matches(image, args[0]) && fits(image))
    .map((image) => rowOf(image, flags['no-trunc']))
  const columns = [
    { header: 'REPOSITORY', field: 'Repository' },
    { header: 'TAG', field: 'Tag' },
    ...(flags.digests ? [{ header: 'DIGEST', field: 'Digest' } as const] : []),
    { header: 'IMAGE ID', field: 'ID' },
    { header: 'CREATED', field: 'CreatedSince', empty: 'N/A' },
    { header: 'SIZE', field: 'Size' },
  ] as const
  session.stdout.write(renderListing(rows, { columns, format: flags.format, only: flags.quiet ? 'ID' : undefined }))
  return 0
})

function rowOf(image: ImageSummary, isLong: boolean) {
  return {
    Repository: image.repository,
    Tag: image.tag,
    Digest: image.digest,
    ID: isLong ? image.id : shortId(image.id),
    CreatedAt: dateOf(image.createdMs),
    CreatedSince: image.createdMs === undefined ? '' : ageOf(image.createdMs),
    Size: humanSize(image.sizeBytes),
    VirtualSize: humanSize(image.sizeBytes),
  }
}

/** `name` takes every tag of that name, `name:tag` one. */
function matches(image: ImageSummary, wanted: string | undefined): boolean {
  return wanted === undefined || wanted === image.repository || wanted === `${image.repository}:${image.tag}`
}
