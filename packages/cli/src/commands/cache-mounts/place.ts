import type { CacheOption } from '@ts-oci/builder'
import { parseCache } from '../../build/caches.ts'
import { UsageError } from '../../usage-error.ts'

/** The one cache that a flag names. @throws UsageError */
export function placeOf(text: string | undefined, flag: 'from' | 'to'): CacheOption {
  const [place, ...more] = text === undefined ? [] : parseCache(text, flag === 'from' ? 'cache-from' : 'cache-to')
  if (place === undefined)
    throw new UsageError(`--${flag} is missing`, {
      hint: `--${flag} type=registry,ref=NAME, or another cache as --cache-${flag} names it`,
    })
  if (more.length > 0) throw new UsageError(`--${flag} names several caches`, { hint: 'name one' })
  return place
}
