import type { CacheManager } from './types.ts'

/**
 * Several caches as one: the first is written, and asked first. The others are asked only for what it does not have: a build
 * that finds all here loads nothing from elsewhere. They find what they know by keys that no cache here has a part in.
 */
export function combineCaches(all: readonly [CacheManager, ...CacheManager[]]): CacheManager {
  const [first, ...others] = all
  if (others.length === 0) return first
  return {
    find: async (query) => {
      const here = await first.find(query)
      if (here.some(({ hasContent }) => hasContent)) return here
      return [...here, ...(await Promise.all(others.map((cache) => cache.find(query)))).flat()]
    },
    get: (key) => {
      for (const cache of all) {
        const candidate = cache.get(key)
        if (candidate !== undefined) return candidate
      }
      return undefined
    },
    save: (entry) => first.save(entry),
    explainMiss: async (query) => {
      for (const cache of others) {
        const near = await cache.explainMiss?.(query)
        if (near !== undefined) return near
      }
      return undefined
    },
  }
}
