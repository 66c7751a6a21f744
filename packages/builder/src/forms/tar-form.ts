import type { LayerEntry } from '../layer/types.ts'
import type { DiffID, Digest } from '../oci/digest.ts'
import { MediaType } from '../oci/media-types.ts'
import type { Descriptor } from '../oci/types.ts'
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
    return record?.hasTar && record.diffId !== undefined && record.tarSizeBytes !== undefined
      ? { diffId: record.diffId, sizeBytes: record.tarSizeBytes }
      : undefined
  }
  return state.once(`tar ${layer.id}`, async () => {
    const early = find()
    if (early) return early
    await using lock = await store.locks.acquire(`tar-${layer.id}`, { signal: state.signal })
    const late = lock && find()
    if (late) return late
    const record = state.record(layer)
    if (
      !state.selections.has(layer.id) &&
      record !== undefined &&
      (record.blobs.length > 0 || record.remote !== undefined)
    ) {
      await inflate(state, layer)
      return find()!
    }
    const entries = await resolveContents(state, (await tableOf(state, layer)).entries)
    await using temporary = await store.createTemporaryDirectory('pack')
    const destination = `${temporary.path}/layer.tar`
    const packing = jobs.run(
      'pack',
      { entries, destination },
      entries.some((entry) => entry.content?.kind === 'tree'),
    )
    const compressing = compressEarly(state, entries, destination, packing)
    // Both are over before the directory goes.
    await Promise.allSettled([packing, compressing])
    const [packed, blob] = [await packing, await compressing]
    store.blobs.adopt(destination, packed.diffId as string as Digest)
    if (blob) store.blobs.adopt(blob.path, blob.descriptor.digest)
    store.layers.writeTable(layer.id, toStored(packed.entries))
    const blobs = blob === undefined ? [] : [{ descriptor: blob.descriptor, origin: blob.origin }]
    state.put(layer, { diffId: packed.diffId, tarSizeBytes: packed.sizeBytes, hasTar: true, hasTable: true, blobs })
    // From now on the table of the store is asked: of a large context the entries are the most of our memory.
    state.forgetSelection(layer)
    return { diffId: packed.diffId, sizeBytes: packed.sizeBytes }
  })
}

interface EarlyBlob {
  readonly path: string
  readonly descriptor: Descriptor
  readonly origin: string
}

/** The gzip of a tar that is being packed, where that is done in a thread: then this one has the time. */
async function compressEarly(
  state: FormsState,
  entries: readonly LayerEntry[],
  tar: string,
  packing: Promise<unknown>,
): Promise<EarlyBlob | undefined> {
  if (state.compressesEarly?.() !== true) return undefined
  const { isLargeJob } = await import('./thread-job.ts')
  if (!isLargeJob('pack', { entries })) return undefined
  const { compressFile, compressorId } = await import('../layer/compression.ts')
  const path = `${tar}.gz`
  const { digest, sizeBytes } = await compressFile({
    source: tar,
    destination: path,
    compression: 'gzip',
    signal: state.signal,
    growing: packing,
  })
  return {
    path,
    descriptor: { mediaType: MediaType.ociLayerGzip, digest, size: sizeBytes },
    origin: compressorId('gzip'),
  }
}
