import type { CacheManager } from './types.ts'

/**
 * Several caches as one: all are asked, the first is written. What only another one has is found there by the keys that it
 * gave its candidates, which the solver keeps beside the first cache's.
 */
export function combineCaches(all: readonly [CacheManager, ...CacheManager[]]): CacheManager {
  const [first, ...others] = all
  if (others.length === 0) return first
  return {
    find: async (query) => (await Promise.all(all.map((cache) => cache.find(query)))).flat(),
    get: (key) => {
      for (const cache of all) {
        const candidate = cache.get(key)
        if (candidate !== undefined) return candidate
      }
      return undefined
    },
    save: (entry) => first.save(entry),
  }
}
