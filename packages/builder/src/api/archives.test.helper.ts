import { createHash } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { END, rawEntry, type RawFields } from '../tar/tar.test.helper.ts'

export function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`
}

export function hexOf(bytes: Uint8Array): string {
  return digestOf(bytes).slice('sha256:'.length)
}

/** One entry of an archive: a file unless `flag` says otherwise. */
export type Entry = RawFields & { readonly data?: Uint8Array | string }

/** An archive, written by hand: it can hold what no tool writes. */
export function archiveOf(entries: readonly Entry[]): Buffer {
  return Buffer.concat([
    ...entries.map(({ data = '', ...fields }) => rawEntry(fields, Buffer.from(data as string))),
    END,
  ])
}

export function writeArchiveFile(path: string, entries: readonly Entry[]): string {
  writeFileSync(path, archiveOf(entries))
  return path
}

/** A plain layer with one file. */
export function layerOf(name: string, text: string): Buffer {
  return archiveOf([{ name, data: text }])
}

/** The config of an image over layers, in the spelling of the specification. */
export function configOf(layers: readonly Uint8Array[], more: object = {}): Buffer {
  return Buffer.from(
    JSON.stringify({
      architecture: 'amd64',
      os: 'linux',
      config: {},
      rootfs: { type: 'layers', diff_ids: layers.map(digestOf) },
      ...more,
    }),
  )
}

export interface SavedImage {
  readonly layers: readonly Buffer[]
  readonly names: readonly string[] | null
}

/** As Docker before 25 wrote an archive: a directory for each layer, with `VERSION` and `json`, and `repositories` beside. */
export function oldDockerArchive(images: readonly SavedImage[]): Entry[] {
  const entries: Entry[] = []
  const known = new Map<string, string>()
  const manifest = images.map(({ layers, names }) => {
    const config = configOf(layers)
    const paths = layers.map((layer, index) => {
      const id = hexOf(Buffer.from(`${hexOf(config)} ${index}`))
      const first = known.get(hexOf(layer))
      entries.push(
        { name: `${id}/`, flag: '5', mode: 0o755 },
        { name: `${id}/VERSION`, data: '1.0' },
        { name: `${id}/json`, data: JSON.stringify({ id }) },
        first === undefined
          ? { name: `${id}/layer.tar`, data: layer }
          : { name: `${id}/layer.tar`, flag: '2', link: `../${first}/layer.tar` },
      )
      known.set(hexOf(layer), first ?? id)
      return `${id}/layer.tar`
    })
    entries.push({ name: `${hexOf(config)}.json`, data: config })
    return { Config: `${hexOf(config)}.json`, RepoTags: names, Layers: paths }
  })
  entries.push({ name: 'manifest.json', data: JSON.stringify(manifest) }, { name: 'repositories', data: '{}' })
  return entries
}
