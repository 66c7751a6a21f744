import { describe, expect, test } from '@jest/globals'
import { temporaryDirectory } from '@ts-oci/testing'
import { openStore } from '../store/store.ts'
import { cacheKeyOf, withFiles, type KeyPart } from './keys.ts'
import type { CacheKey } from './types.ts'
import { createExplainer, explainDifference } from './explain.ts'
import type { CacheMap } from './types.ts'
import { digestOf } from '../oci/digest.ts'

function keyOf(payload: unknown, parts: readonly KeyPart[]) {
  return cacheKeyOf({ payload, selectors: [] } satisfies CacheMap, parts)
}

function explain(before: CacheKey, now: CacheKey): string {
  return explainDifference(before.preimage, now.preimage)
}

const content = (text: string, path: string): KeyPart => ({
  content: digestOf(text),
  selectors: [{ path, followLast: true, allowWildcard: false, includePatterns: [], excludePatterns: [] }],
})

describe('a miss is explained', () => {
  test('by the paths whose content changed', () => {
    const before = keyOf({ kind: 'file' }, [{ key: 'k:base' }, content('old', '/src')])
    expect(explain(before, keyOf({ kind: 'file' }, [{ key: 'k:base' }, content('new', '/src')]))).toBe(
      'the content of /src changed',
    )
  })

  test('by the files that changed, came and went', () => {
    const before = withFiles(keyOf({}, [content('old', '/src')]), [
      { 'src/a': '644:1', 'src/b': '644:2', 'src/same': '644:3' },
    ])
    const now = withFiles(keyOf({}, [content('new', '/src')]), [
      { 'src/a': '644:9', 'src/c': '644:4', 'src/same': '644:3' },
    ])
    expect(explain(before, now)).toBe('src/a changed, src/c is new, src/b is gone')
  })

  test('by the mode of a file of which nothing else changed', () => {
    const files = (mark: string, other: string) =>
      withFiles(keyOf({}, [content(mark, '/src')]), [{ 'src/a': mark, 'src/b': other }])
    expect(explain(files('644:1', '600:5'), files('4755:1', '644:6'))).toBe(
      'mode of src/a changed from 0644 to 4755, src/b changed',
    )
  })

  test('without the names of files where a store of an older release knows no modes', () => {
    const files = (mark: string) => withFiles(keyOf({}, [content(mark, '/src')]), [{ 'src/a': mark }])
    expect(explain(files('1'), files('644:1'))).toBe('the content of /src changed')
  })

  test('by the name of a variable, never by its value', () => {
    const before = keyOf({ meta: { env: ['A=1', 'TOKEN=old', 'GONE=x'] } }, [])
    const now = keyOf({ meta: { env: ['A=1', 'TOKEN=new'] } }, [])
    expect(explain(before, now)).toBe('variable TOKEN changed; variable GONE is gone')
  })

  test('by the argument that differs', () => {
    const before = keyOf({ meta: { args: ['/bin/sh', '-c', 'make'] } }, [])
    const now = keyOf({ meta: { args: ['/bin/sh', '-c', 'make all'] } }, [])
    expect(explain(before, now)).toBe('the command changed')
  })

  test('in the words of a Dockerfile, not in those of the graph', () => {
    const copy = (owner: unknown, dest: string) => keyOf({ actions: [{ action: { kind: 'copy', dest, owner } }] }, [])
    expect(explain(copy({ user: { id: 1 } }, '/a'), copy({ user: { id: 2 } }, '/b'))).toBe(
      'the destination changed from "/a" to "/b"; --chown changed',
    )
    expect(explain(copy(undefined, '/a'), keyOf({ actions: [{ action: { kind: 'mkdir' } }, {}] }, []))).toBe(
      'the instruction changed',
    )
  })

  test('by what it is built on', () => {
    expect(explain(keyOf({}, [{ key: 'k:one' }]), keyOf({}, [{ key: 'k:two' }]))).toBe('what it builds on changed')
  })

  test('by the nearest of several earlier runs', async () => {
    await using directory = await temporaryDirectory()
    await using store = await openStore({ root: directory.path })
    const facts = { layerIds: [], hasContent: false, createdMs: 1, usedMs: 1, usageCount: 1, type: 'regular' }
    const run = (scope: string, env: readonly string[]): void => {
      const { key, preimage } = keyOf({ meta: { env } }, [])
      const notes = createExplainer(store, () => [scope]).notes('[2/2] RUN make', key)
      store.cache.put({ ...facts, key, preimage, name: '[2/2] RUN make' }, [], { notes })
    }
    run('directory', ['A=1', 'B=1', 'C=1'])
    run('repository', ['A=1', 'B=1', 'C=2'])
    const now = keyOf({ meta: { env: ['A=2', 'B=1', 'C=2'] } }, [])
    const explainer = createExplainer(store, () => ['directory', 'unknown', 'repository'])
    expect(explainer.explain('[2/2] RUN make', now)).toBe('variable A changed')
  })

  test('of the same place of the same project, whatever else has that name', async () => {
    await using directory = await temporaryDirectory()
    await using store = await openStore({ root: directory.path })
    const first = keyOf({ meta: { env: ['MODE=dev'] } }, [])
    const facts = { layerIds: [], hasContent: false, createdMs: 1, usedMs: 1, usageCount: 1, type: 'regular' }
    const notes = createExplainer(store, () => ['/project']).notes('[2/2] RUN make dev', first.key)
    store.cache.put({ ...facts, key: first.key, name: '[2/2] RUN make dev', preimage: first.preimage }, [], { notes })

    const now = keyOf({ meta: { env: ['MODE=prod'] } }, [])
    expect(createExplainer(store, () => ['/project']).explain('[2/2] RUN make prod', now)).toBe('variable MODE changed')
    expect(createExplainer(store, () => ['/other']).explain('[2/2] RUN make prod', now)).toBeUndefined()
  })
})

test('a variable that was not there before is new', () => {
  const withEnv = (env: readonly string[]): string => JSON.stringify({ op: { meta: { env } } })
  expect(explainDifference(withEnv(['A=1']), withEnv(['A=1', 'V=1']))).toBe('variable V is new')
  expect(explainDifference(withEnv(['V=1']), withEnv(['V=2']))).toBe('variable V changed')
})
