import type { RemoveOutcome } from '@ts-oci/builder'

/** What `image prune` of Docker says of images that went, with an empty line behind it. */
export function renderRemoved({ untagged, deleted }: RemoveOutcome): string {
  const lines = [...untagged.map((name) => `untagged: ${name}`), ...deleted.map((id) => `deleted: ${id}`)]
  return lines.length === 0 ? '' : ['Deleted Images:', ...lines, '', ''].join('\n')
}
