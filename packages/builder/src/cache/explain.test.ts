import { describe, expect, test } from '@jest/globals'
import type { CacheRecord, Store } from '../content/types.ts'
import { cacheKeyOf, type KeyPart } from './keys.ts'
import { explainMiss } from './explain.ts'
import type { CacheMap } from '../ops/types.ts'
import { digestOf } from '../oci/digest.ts'

function keyOf(payload: unknown, parts: readonly KeyPart[]) {
  return cacheKeyOf({ payload, selectors: [] } satisfies CacheMap, parts)
}

/** The one record that a store may have of a name. */
function storeWith(preimage: string | undefined): Store {
  const record = preimage === undefined ? undefined : ({ preimage } as CacheRecord)
  return { cache: { findByName: () => record } } as unknown as Store
}

const content = (text: string, path: string): KeyPart => ({ content: digestOf(text), selectors: [{ path, followLast: true, allowWildcard: false, includePatterns: [], excludePatterns: [] }] })

describe('a miss is explained', () => {
  test('by the paths whose content changed', () => {
    const before = keyOf({ kind: 'file' }, [{ key: 'k:base' }, content('old', '/src')])
    expect(explainMiss(storeWith(before.preimage), 'COPY', keyOf({ kind: 'file' }, [{ key: 'k:base' }, content('new', '/src')]))).toBe('the content of /src changed')
  })

  test('by the name of a variable, never by its value', () => {
    const before = keyOf({ meta: { env: ['A=1', 'TOKEN=old', 'GONE=x'] } }, [])
    const now = keyOf({ meta: { env: ['A=1', 'TOKEN=new'] } }, [])
    expect(explainMiss(storeWith(before.preimage), 'RUN', now)).toBe('variable TOKEN changed; variable GONE is gone')
  })

  test('by the argument that differs', () => {
    const before = keyOf({ meta: { args: ['/bin/sh', '-c', 'make'] } }, [])
    const now = keyOf({ meta: { args: ['/bin/sh', '-c', 'make all'] } }, [])
    expect(explainMiss(storeWith(before.preimage), 'RUN', now)).toBe('meta.args[2] changed from "make" to "make all"')
  })

  test('by what it is built on', () => {
    expect(explainMiss(storeWith(keyOf({}, [{ key: 'k:one' }]).preimage), 'RUN', keyOf({}, [{ key: 'k:two' }]))).toBe('what it builds on changed')
  })

  test('not at all when it never ran', () => {
    expect(explainMiss(storeWith(undefined), 'RUN', keyOf({}, []))).toBeUndefined()
  })
})
