import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { openStore } from './store.ts'
import type { Store } from './types.ts'

let root: string
let store: Store
let clockMs = 1_700_000_000_000

beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'ts-oci-store-'))
  store = await open()
})

afterEach(async () => {
  await store.close()
  rmSync(root, { recursive: true, force: true })
})

function open(): Promise<Store> {
  return openStore({ root, now: () => clockMs })
}

async function reopen(): Promise<void> {
  await store.close()
  store = await open()
}

describe('cache', () => {
  const record = {
    key: 'k',
    layerIds: ['l-1'],
    hasContent: true,
    createdMs: 1,
    usedMs: 1,
    usageCount: 0,
    name: '[1/2] RUN x',
    type: 'regular',
    preimage: '{}',
  }

  test('a record is found by its alternative keys', () => {
    store.cache.put(record, ['content-key'])
    store.cache.link('third', 'k')
    expect(store.cache.find('content-key')).toMatchObject({ key: 'k', layerIds: ['l-1'], usageCount: 1 })
    expect(store.cache.find('third')).toMatchObject({ key: 'k', usageCount: 2 })
    expect(store.cache.find('fourth')).toBeUndefined()
    expect(store.cache.findByName('[1/2] RUN x')?.key).toBe('k')
  })

  test('use is written down when the store closes', async () => {
    store.cache.put(record, [])
    clockMs = 1_700_000_099_000
    store.cache.find('k')
    await reopen()
    expect(store.cache.list()).toEqual([{ ...record, usedMs: clockMs, usageCount: 1 }])
  })

  test('a use within ten minutes of the last one costs no write', async () => {
    store.cache.put({ ...record, usedMs: clockMs }, [])
    clockMs += 9 * 60_000
    expect(store.cache.find('k')?.usageCount).toBe(1)
    await reopen()
    expect(store.cache.list()).toEqual([{ ...record, usedMs: clockMs - 9 * 60_000 }])
  })

  test('facts outlive a build', async () => {
    store.cache.putFact('etag', '"x"')
    store.cache.putFact('etag', '"y"')
    await reopen()
    expect(store.cache.getFact('etag')).toBe('"y"')
  })

  test('a failed transaction leaves no row', () => {
    expect(() =>
      store.transaction(() => {
        store.cache.put(record, ['a'])
        throw new Error('stop')
      }),
    ).toThrow('stop')
    expect(store.cache.find('k')).toBeUndefined()
    expect(store.cache.find('a')).toBeUndefined()
  })
})

describe('locks', () => {
  test('a lock is held by one at a time and is free afterwards', async () => {
    const held = await store.locks.acquire('layer one')
    expect(store.locks.tryAcquire('layer one')).toBeUndefined()
    let order = ''
    const second = (async () => {
      await using _lock = await store.locks.acquire('layer one')
      order += 'second'
    })()
    order += 'first '
    await held[Symbol.asyncDispose]()
    await second
    expect(order).toBe('first second')
  })

  test('shared locks go together', async () => {
    const one = store.locks.tryAcquire('x', { shared: true })
    const two = store.locks.tryAcquire('x', { shared: true })
    expect(two).toBeDefined()
    expect(store.locks.tryAcquire('x')).toBeUndefined()
    await one?.[Symbol.asyncDispose]()
    expect(store.locks.tryAcquire('x')).toBeUndefined()
    await two?.[Symbol.asyncDispose]()
    const alone = store.locks.tryAcquire('x')
    expect(alone).toBeDefined()
    await alone?.[Symbol.asyncDispose]()
  })

  test('waiting ends with the signal', async () => {
    await using _held = await store.locks.acquire('x')
    await expect(store.locks.acquire('x', { signal: AbortSignal.timeout(20) })).rejects.toMatchObject({
      code: 'OCI_CANCELED',
    })
  })

  test('who gets his locks and no turn to use them, as the build was stopped meanwhile, lets them go', async () => {
    const held = await store.locks.acquire('cache-mount-x')
    const whileWaiting = async <T>(wait: () => Promise<T>): Promise<T> => {
      await wait()
      throw new Error('stopped')
    }
    const waiting = store.locks.hold('cache-mount', [{ name: 'x' }], { whileWaiting }, async () => 'worked')
    await held[Symbol.asyncDispose]()
    await expect(waiting).rejects.toThrow('stopped')
    await using lock = store.locks.tryAcquire('cache-mount-x')
    expect(lock).toBeDefined()
  })

  test('no lock file stays behind', async () => {
    await (await store.locks.acquire('x'))[Symbol.asyncDispose]()
    expect(readdirSync(join(root, 'run')).filter((name) => name.startsWith('x'))).toEqual([])
  })
})
