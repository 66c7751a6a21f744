import type { ImageSummary, UsageRecord } from '@ts-oci/builder'
import { shortId } from './ids.ts'
import { renderListing } from './listing.ts'
import { renderTable } from './table.ts'
import { ageOf, exactSize, humanSize } from './units.ts'

const columns = [
  { header: 'TYPE', field: 'Type' },
  { header: 'TOTAL', field: 'TotalCount' },
  { header: 'ACTIVE', field: 'Active' },
  { header: 'SIZE', field: 'Size' },
  { header: 'RECLAIMABLE', field: 'Reclaimable' },
] as const

/** `docker system df`: there are no containers and no volumes, and their lines say so. */
export function renderSpace(
  images: readonly ImageSummary[],
  records: readonly UsageRecord[],
  format: string | undefined,
): Promise<string> {
  const ids = new Set(images.map(({ id }) => id))
  const imageBytes = [...bytesOfContents(images).values()].reduce((sum, bytes) => sum + bytes, 0)
  const row = (Type: string, total: number, active: number, Size: string, Reclaimable: string) => ({
    Active: String(active),
    Reclaimable,
    Size,
    TotalCount: String(total),
    Type,
  })
  const ofImages = imageBytes === 0 ? '0B' : `${exactSize(imageBytes)} (100%)`
  const inUse = records.filter(({ isInUse }) => isInUse)
  const rows = [
    row('Images', ids.size, 0, exactSize(imageBytes), ofImages),
    row('Containers', 0, 0, '0B', '0B'),
    row('Local Volumes', 0, 0, '0B', '0B'),
    row('Build Cache', records.length, inUse.length, exactSize(own(records)), exactSize(own(records) - own(inUse))),
  ]
  return renderListing(rows, { columns, format, only: undefined, type: 'formatter.diskUsageContext' })
}

/** What images share counts as theirs. */
function own(records: readonly UsageRecord[]): number {
  return records.filter(({ isShared }) => !isShared).reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
}

/** Each file once, however many images have it. */
function bytesOfContents(images: readonly ImageSummary[]): ReadonlyMap<string, number> {
  const contents = images.flatMap(({ platforms = [] }) => platforms.flatMap((platform) => platform.contents))
  return new Map(contents.map(({ digest, sizeBytes }) => [digest, sizeBytes]))
}

/** `docker system df -v`. */
export function renderSpaceInFull(images: readonly ImageSummary[], records: readonly UsageRecord[]): string {
  const imageHead = ['REPOSITORY', 'TAG', 'IMAGE ID', 'CREATED', 'SIZE', 'SHARED SIZE', 'UNIQUE SIZE', 'CONTAINERS']
  const owners = new Map<string, Set<string>>()
  for (const image of images)
    for (const digest of bytesOfContents([image]).keys())
      owners.set(digest, (owners.get(digest) ?? new Set()).add(image.id))
  const imageRows = images.map((image) => {
    const contents = [...bytesOfContents([image])]
    const sum = (isShared: boolean): number =>
      contents
        .filter(([digest]) => owners.get(digest)!.size > 1 === isShared)
        .reduce((bytes, [, size]) => bytes + size, 0)
    const { repository, tag, id, createdMs, sizeBytes } = image
    const age = createdMs === undefined ? 'N/A' : ageOf(createdMs)
    return [repository, tag, shortId(id), age, humanSize(sizeBytes), exactSize(sum(true)), exactSize(sum(false)), '0']
  })
  const cacheHead = ['CACHE ID', 'CACHE TYPE', 'SIZE', 'CREATED', 'LAST USED', 'USAGE', 'SHARED']
  const cacheRows = records
    .toSorted((a, b) => (a.usedMs ?? 0) - (b.usedMs ?? 0) || (a.id < b.id ? -1 : 1))
    .map(({ id, type, sizeBytes, createdMs, usedMs, usageCount, isShared }) => [
      id.slice(0, 12),
      type,
      humanSize(sizeBytes),
      ageOf(createdMs),
      usedMs === undefined ? '' : ageOf(usedMs),
      String(usageCount),
      String(isShared),
    ])
  const section = (title: string, table: readonly (readonly string[])[]): string => `${title}\n\n${renderTable(table)}`
  return [
    section('Images space usage:', [imageHead, ...imageRows]),
    section('Containers space usage:', [
      ['CONTAINER ID', 'IMAGE', 'COMMAND', 'LOCAL VOLUMES', 'SIZE', 'CREATED', 'STATUS', 'NAMES'],
    ]),
    section('Local Volumes space usage:', [['VOLUME NAME', 'LINKS', 'SIZE']]),
    section(`Build cache usage: ${exactSize(own(records))}`, [cacheHead, ...cacheRows]),
  ].join('\n')
}
