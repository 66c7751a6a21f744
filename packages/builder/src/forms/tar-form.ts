import type { DiffID, Digest } from '../oci/digest.ts'
import { inflate } from './blob-form.ts'
import { resolveContents } from './contents.ts'
import type { FormsState } from './forms-state.ts'
import { toStored } from './stored-table.ts'
import { tableOf } from './table-form.ts'
import type { LayerHandle } from './types.ts'

export interface TarForm {
  readonly diffId: DiffID
  readonly sizeBytes: number
}

/** A layer as a plain tar in the store's blobs: packed from entries or a tree, or inflated from its blob. */
export function tarOf(state: FormsState, layer: LayerHandle): Promise<TarForm> {
  const { store, jobs } = state
  const find = (): TarForm | undefined => {
    const record = state.record(layer)
    return record?.hasTar && record.diffId !== undefined && record.tarSizeBytes !== undefined ? { diffId: record.diffId, sizeBytes: record.tarSizeBytes } : undefined
  }
  return state.once(`tar ${layer.id}`, async () => {
    const early = find()
    if (early) return early
    await using lock = await store.locks.acquire(`tar-${layer.id}`, { signal: state.signal })
    const late = lock && find()
    if (late) return late
    const record = state.record(layer)
    if (!state.selections.has(layer.id) && record !== undefined && (record.blobs.length > 0 || record.remote !== undefined)) {
      await inflate(state, layer)
      return find()!
    }
    const entries = await resolveContents(state, (await tableOf(state, layer)).entries)
    await using temporary = await store.createTemporaryDirectory('pack')
    const destination = `${temporary.path}/layer.tar`
    const packed = await jobs.run('pack', { entries, destination }, entries.some((entry) => entry.content?.kind === 'tree'))
    store.blobs.adopt(destination, packed.diffId as string as Digest)
    store.layers.writeTable(layer.id, toStored(packed.entries))
    state.put(layer, { diffId: packed.diffId, tarSizeBytes: packed.sizeBytes, hasTar: true, hasTable: true })
    // From now on the table of the store is asked: of a large context the entries are the most of our memory.
    state.forgetSelection(layer)
    return { diffId: packed.diffId, sizeBytes: packed.sizeBytes }
  })
}
