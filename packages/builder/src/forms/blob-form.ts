import type { Descriptor } from '../oci/types.ts'
import { fetchLayer } from './fetch.ts'
import type { FormsState } from './forms-state.ts'
import { toStored } from './stored-table.ts'
import type { LayerHandle } from './types.ts'

export interface BlobForm {
  readonly path: string
  readonly descriptor: Descriptor
}

/** The blob that a layer came with; fetched where it is only in a registry, its table made on the way. */
export function ensureBlob(state: FormsState, layer: LayerHandle): Promise<BlobForm> {
  const { store, signal } = state
  const find = (): BlobForm | undefined => {
    const descriptor = state
      .requireRecord(layer)
      .blobs.map((blob) => blob.descriptor)
      .find((candidate) => store.blobs.has(candidate.digest))
    return descriptor && { path: store.blobs.path(descriptor.digest), descriptor }
  }
  return state.once(`blob ${layer.id}`, async () => {
    const early = find()
    if (early) return early
    await using lock = await store.locks.acquire(`blob-${layer.id}`, { signal })
    const late = lock && find()
    if (late) return late
    await using unpacker = await state.unpackers.get(layer.id)?.()
    const { descriptor, entries } = await fetchLayer(
      state.fetcher,
      store,
      state.requireRecord(layer),
      layer.progressVertex,
      signal,
      unpacker && (() => unpacker.sink),
    )
    await unpacker?.keep()
    if (entries) store.layers.writeTable(layer.id, toStored(entries))
    // A layer that is not compressed in the registry is its own plain tar.
    const isPlain = descriptor.digest === layer.id
    state.put(layer, {
      blobs: [{ descriptor, origin: 'pulled' }],
      hasTable: entries !== undefined,
      ...(isPlain ? { hasTar: true, tarSizeBytes: descriptor.size } : {}),
    })
    // What was fetched is kept, whatever becomes of the build.
    store.sync()
    return { path: store.blobs.path(descriptor.digest), descriptor }
  })
}

/** blob → plain tar and table. */
export function inflate(state: FormsState, layer: LayerHandle): Promise<void> {
  return state.once(`inflate ${layer.id}`, async () => {
    const { path } = await ensureBlob(state, layer)
    const { inflateLayer } = await import('./inflate.ts')
    const { diffId } = state.requireRecord(layer)
    const inflated = await inflateLayer({
      store: state.store,
      blobPath: path,
      expectedDiffId: diffId,
      signal: state.signal,
    })
    state.store.layers.writeTable(layer.id, toStored(inflated.entries))
    state.put(layer, { diffId: inflated.diffId, tarSizeBytes: inflated.sizeBytes, hasTar: true, hasTable: true })
  })
}
