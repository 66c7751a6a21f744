import type { LayerFactory, LayerHandle, LayerRecords } from '../layers/types.ts'
import type { ImageLayer } from '../oci/types.ts'
import type { ConfigRecord } from './buildkit/config.ts'
import type { RecordLookup } from './buildkit/lookup.ts'
import type { CacheCandidate, CacheManager, NearMiss } from './types.ts'

/** A cache from elsewhere, once it was read. */
export interface ImportedRecords {
  /** How it is told: `user/app:cache`. */
  readonly name: string
  readonly records: readonly ConfigRecord[]
  readonly layers: readonly ((ImageLayer & { readonly createdMs: number }) | undefined)[]
  /** Where its layers lie. */
  readonly reference: string
  /** Of several results that of the lowest rank is taken; default 0. */
  readonly rank?: number | undefined
  readonly lookup: RecordLookup
}

/** What a cache from elsewhere asks of layers. */
export type ImportedForms = Pick<LayerFactory, 'fromImage'> & Pick<LayerRecords, 'hasContent'>

export interface ImportedCacheOptions {
  readonly forms: ImportedForms
  /** Reads manifest and config, once, when something is first looked for that is not here. */
  readonly load: () => Promise<readonly ImportedRecords[]>
  /** Layers that their place does not have any more. */
  readonly isLost: (layer: ImageLayer) => boolean
}

/** Caches from elsewhere, in BuildKit's format. Nothing of a result is fetched before somebody needs it; nothing is written. */
export function createImportedCache({ forms, load, isLost }: ImportedCacheOptions): CacheManager {
  const candidateOf = (cache: ImportedRecords, record: number): CacheCandidate => {
    const [best] = cache.records[record]!.results.flatMap(({ layers, createdAt }) => {
      const chain = layers.map((index) => cache.layers[index])
      return chain.every((layer) => layer !== undefined && !isLost(layer)) ? [{ chain, createdAt }] : []
    })
    const layersOf = (progressVertex: string, needsTree?: boolean): readonly LayerHandle[] | undefined => {
      const chain = (best?.chain ?? []).filter((layer) => layer !== undefined)
      if (best === undefined || chain.some(isLost)) return undefined
      return forms.fromImage(chain, cache.reference, progressVertex, needsTree)
    }
    return {
      key: `shared:${cache.name}:${record}`,
      preimage: JSON.stringify({ cache: cache.name }),
      createdMs: best === undefined ? 0 : Math.max(0, Date.parse(best.createdAt)),
      isForeign: true,
      hasContent: best !== undefined,
      origin: cache.name,
      layers: layersOf,
    }
  }
  return {
    find: async ({ shared }) => {
      if (shared === undefined) return []
      const found: { readonly candidate: CacheCandidate; readonly rank: number }[] = []
      for (const cache of await load())
        for (const record of await cache.lookup.find(shared, 0))
          found.push({ candidate: candidateOf(cache, record), rank: cache.rank ?? 0 })
      // Of several results the newest, as BuildKit takes it; but none of whom others trust less.
      return found
        .sort((a, b) => a.rank - b.rank || b.candidate.createdMs - a.candidate.createdMs)
        .map(({ candidate }) => candidate)
    },
    explainMiss: async ({ shared }) => {
      if (shared === undefined) return undefined
      let nearest: NearMiss | undefined
      for (const { name: origin, lookup } of await load()) {
        const otherInputs = await lookup.unmatched(shared, 0)
        if (nearest === undefined || isNearer(otherInputs, nearest.otherInputs)) nearest = { origin, otherInputs }
      }
      return nearest
    },
    get: () => undefined,
    save: () => undefined,
  }
}

function isNearer(one: readonly number[] | undefined, other: readonly number[] | undefined): boolean {
  return (one?.length ?? Number.POSITIVE_INFINITY) < (other?.length ?? Number.POSITIVE_INFINITY)
}
