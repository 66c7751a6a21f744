import { missingLayerOf } from '../layers/missing-form.ts'
import type { LayerFactory, LayerHandle, LayerRecords } from '../layers/types.ts'
import type { CacheRecord, Store } from '../store/types.ts'
import type { CacheCandidate, CacheManager } from './types.ts'

/** What a cache asks of layers. */
export type CacheForms = Pick<LayerFactory, 'load'> & Pick<LayerRecords, 'hasContent'>

/** The records of the store as a cache: what this machine built, at hand without a transfer. */
export function createStoreCache(store: Pick<Store, 'cache' | 'lease'>, forms: CacheForms): CacheManager {
  const { cache } = store
  const candidateOf = (record: CacheRecord): CacheCandidate => {
    // Another build may replace the record: its layers are leased by themselves.
    for (const id of record.layerIds) store.lease(id)
    const { key, preimage, createdMs, hasContent } = record
    const layers = (progressVertex: string) => (hasContent ? layersAtHand(forms, record, progressVertex) : undefined)
    return { key, preimage, createdMs, isForeign: false, hasContent, layers }
  }
  return {
    find: async (query) => {
      const { byDefinition, byContent } = query.storeKeys()
      const record = (byDefinition && cache.find(byDefinition.key)) ?? (byContent && cache.find(byContent.key))
      if (record === undefined) return []
      // The next time it is found without reading anything.
      if (byDefinition && record.key !== byDefinition.key) cache.link(byDefinition.key, record.key)
      return [candidateOf(record)]
    },
    get: (key) => {
      const record = cache.find(key)
      return record && candidateOf(record)
    },
    save: ({ layers, alternatives, isReplacing, notes, ...facts }) => {
      const now = Date.now()
      const layerIds = layers.map(({ id }) => id)
      const record = { ...facts, layerIds, createdMs: now, usedMs: now, usageCount: 1 }
      cache.put(record, alternatives, { isReplacing, notes })
    },
  }
}

/** The layers of a record, where all of them can be read by this process. */
function layersAtHand(
  forms: CacheForms,
  record: CacheRecord,
  progressVertex: string,
): readonly LayerHandle[] | undefined {
  try {
    const layers = record.layerIds.map((id) => forms.load(id, progressVertex))
    return layers.every((layer) => forms.hasContent(layer)) ? layers : undefined
  } catch (error) {
    if (missingLayerOf(error) === undefined) throw error
    return undefined
  }
}
