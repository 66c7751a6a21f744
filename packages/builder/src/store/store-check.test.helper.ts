import { existsSync, readdirSync } from 'node:fs'
import { basename, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { Digest } from '../oci/digest.ts'
import { validateLayout } from '../oci/validate.test.helper.ts'
import { layerOfFile } from './paths.ts'
import { openStore } from './store.ts'

/** Everything that is wrong with a store that nobody uses: its database, rows that name missing files, its images. */
export async function problemsOfStore(root: string): Promise<readonly string[]> {
  const problems: string[] = []
  {
    await using store = await openStore({ root })
    const layers = store.layers.list()
    const known = new Set(layers.map((layer) => layer.id))
    for (const layer of layers) {
      const lacks = (what: string): void => void problems.push(`layer ${layer.id} (${layer.description}) lacks ${what}`)
      if (layer.hasTar && !store.blobs.has(layer.diffId as string as Digest)) lacks('its tar')
      if (layer.hasTable && store.layers.readTable(layer.id) === undefined) lacks('its table')
      for (const tree of layer.trees ?? []) if (!existsSync(store.snapshotDirectory(layer.id, tree))) lacks('its tree')
      for (const { descriptor } of layer.blobs)
        if (store.blobs.size(descriptor.digest) !== descriptor.size) lacks(`blob ${descriptor.digest}`)
    }
    const trees = new Set(layers.map((layer) => basename(store.snapshotDirectory(layer.id))))
    for (const name of readdirSync(join(root, 'snapshots')))
      if (!trees.has(layerOfFile(name))) problems.push(`snapshots holds ${name}, which no row names`)
    for (const record of store.cache.list())
      for (const id of record.layerIds)
        if (!known.has(id)) problems.push(`cache record ${record.name} names the missing layer ${id}`)
    for (const image of store.images.list())
      for (const id of image.images.flatMap(({ layerIds }) => layerIds))
        if (!known.has(id)) problems.push(`image ${image.name} names the missing layer ${id}`)
  }
  const database = new DatabaseSync(join(root, 'meta.sqlite'), { readOnly: true })
  const answer = database.prepare('PRAGMA integrity_check').get() as { integrity_check: string }
  database.close()
  if (answer.integrity_check !== 'ok') problems.push(`meta.sqlite: ${answer.integrity_check}`)
  const left = readdirSync(join(root, 'tmp')).map((name) => `tmp holds ${name}`)
  const invalid = (await validateLayout(root)).map((problem) => `${problem.where}: ${problem.message}`)
  return [...problems, ...left, ...invalid]
}
