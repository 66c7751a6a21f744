import type { RemoteInspection } from '@ts-oci/builder'
import { fillTemplate } from '../go-template/fill-template.ts'
import { imagetoolsType } from '../go-template/imagetools-type.ts'
import { nameLine } from './terminal-text.ts'

type Cell = readonly [label: string, value: string]
type Entry = NonNullable<RemoteInspection['index']>['manifests'][number]

/** What `docker buildx imagetools inspect` prints of a name, byte for byte. */
export function renderInspection({ name, descriptor, index }: RemoteInspection): string {
  const head: readonly Cell[] = [
    ['Name:', name],
    ['MediaType:', descriptor.mediaType],
    ['Digest:', descriptor.digest],
  ]
  if (index === undefined) return aligned(head)
  return (
    aligned(head) +
    aligned([
      ['', ''],
      ['Manifests:', ''],
    ]) +
    renderEntries(name, index.manifests)
  )
}

/** Columns are as wide as what is shown together: annotations end such a block. */
function renderEntries(name: string, entries: readonly Entry[]): string {
  let text = ''
  let block: Cell[] = []
  entries.forEach((entry, at) => {
    if (at > 0) block.push(['', ''])
    block.push(...cellsOf(name, entry))
    const annotations = Object.entries(entry.annotations ?? {}).toSorted(([a], [b]) => (a < b ? -1 : 1))
    if (annotations.length === 0 || entry.platform === undefined) return
    block.push(['  Annotations:', ''])
    text += aligned(block)
    text += aligned(annotations.map(([key, value]): Cell => [`    ${nameLine(key)}:`, nameLine(value)]))
    block = []
  })
  return text + aligned(block)
}

function cellsOf(name: string, { digest, mediaType, platform, urls }: Entry): readonly Cell[] {
  const cells: Cell[] = [
    ['  Name:', `${name.replace(/@.*$/, '')}@${digest}`],
    ['  MediaType:', nameLine(mediaType)],
  ]
  if (platform === undefined) return cells
  const { os, architecture, variant } = platform
  cells.push(['  Platform:', nameLine([os, architecture, ...(variant === undefined ? [] : [variant])].join('/'))])
  const version = platform['os.version']
  const features = platform['os.features'] ?? []
  if (version !== undefined) cells.push(['  OSVersion:', nameLine(version)])
  if (features.length > 0) cells.push(['  OSFeatures:', nameLine(features.join(', '))])
  if (urls !== undefined && urls.length > 0) cells.push(['  URLs:', nameLine(urls.join(', '))])
  return cells
}

/** Two columns, the first as wide as it needs to be, one blank between them. */
function aligned(cells: readonly Cell[]): string {
  const width = Math.max(0, ...cells.map(([label]) => label.length)) + 1
  return cells.map(([label, value]) => `${label.padEnd(width)}${value}\n`).join('')
}

/** A template over what buildx calls `.Name`, `.Manifest` and `.Image`; `json` is indented there. */
export function fillInspection(typed: string, found: RemoteInspection, format: string): string {
  const { descriptor, index, configs } = found
  const several = Object.keys(configs).length > 1
  const documents = {
    name: typed,
    manifest:
      index === undefined
        ? descriptor
        : {
            schemaVersion: index.schemaVersion,
            mediaType: index.mediaType,
            digest: descriptor.digest,
            size: descriptor.size,
            manifests: index.manifests,
            ...(index.annotations === undefined ? {} : { annotations: index.annotations }),
          },
    image: several ? sortedByKey(configs) : Object.values(configs)[0],
  }
  const type = imagetoolsType(index !== undefined, several)
  return fillTemplate(format, documents, { type, isIndented: true })
}

function sortedByKey<Value>(map: Readonly<Record<string, Value>>): Record<string, Value> {
  return Object.fromEntries(Object.entries(map).toSorted(([a], [b]) => (a < b ? -1 : 1)))
}
