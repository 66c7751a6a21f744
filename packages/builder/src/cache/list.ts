import type { Store } from '../store/types.ts'
import { createStoreCache, type CacheForms } from './store-cache.ts'
import type { CacheManager } from './types.ts'

/** What the caches of one build share; made by `build/composition.ts`. */
export interface CacheEnvironment {
  readonly store: Pick<Store, 'cache' | 'lease'>
  readonly forms: CacheForms
}

/** The list of caches: the first is written, all are asked. A new one is a file, or a folder, beside these and one line here. */
export function createCaches(environment: CacheEnvironment): readonly [CacheManager, ...CacheManager[]] {
  return [createStoreCache(environment.store, environment.forms)]
}
