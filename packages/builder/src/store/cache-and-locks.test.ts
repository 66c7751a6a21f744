import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import { openedStore } from './opened-store.test.helper.ts'

const opened = openedStore()

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
    opened.store.cache.put(record, ['content-key'])
    opened.store.cache.link('third', 'k')
    expect(opened.store.cache.find('content-key')).toMatchObject({ key: 'k', layerIds: ['l-1'], usageCount: 1 })
    expect(opened.store.cache.find('third')).toMatchObject({ key: 'k', usageCount: 2 })
    expect(opened.store.cache.find('fourth')).toBeUndefined()
    expect(opened.store.cache.findByName('[1/2] RUN x')?.key).toBe('k')
  })

  test('use is written down when the store closes', async () => {
    opened.store.cache.put(record, [])
    opened.clockMs = 1_700_000_099_000
    opened.store.cache.find('k')
    await opened.reopen()
    expect(opened.store.cache.list()).toEqual([{ ...record, usedMs: opened.clockMs, usageCount: 1 }])
  })

  test('a use within ten minutes of the last one costs no write', async () => {
    opened.store.cache.put({ ...record, usedMs: opened.clockMs }, [])
    opened.clockMs += 9 * 60_000
    expect(opened.store.cache.find('k')?.usageCount).toBe(1)
    await opened.reopen()
    expect(opened.store.cache.list()).toEqual([{ ...record, usedMs: opened.clockMs - 9 * 60_000 }])
  })

  test('facts outlive a build', async () => {
    opened.store.cache.putFact('etag', '"x"')
    opened.store.cache.putFact('etag', '"y"')
    await opened.reopen()
    expect(opened.store.cache.getFact('etag')).toBe('"y"')
  })

  test('a failed transaction leaves no row', () => {
    expect(() =>
      opened.store.transaction(() => {
        opened.store.cache.put(record, ['a'])
        throw new Error('stop')
      }),
    ).toThrow('stop')
    expect(opened.store.cache.find('k')).toBeUndefined()
    expect(opened.store.cache.find('a')).toBeUndefined()
  })
})

describe('locks', () => {
  test('a lock is held by one at a time and is free afterwards', async () => {
    const held = await opened.store.locks.acquire('layer one')
    expect(opened.store.locks.tryAcquire('layer one')).toBeUndefined()
    let order = ''
    const second = (async () => {
      await using _lock = await opened.store.locks.acquire('layer one')
      order += 'second'
    })()
    order += 'first '
    await held[Symbol.asyncDispose]()
    await second
    expect(order).toBe('first second')
  })

  test('shared locks go together', async () => {
    const one = opened.store.locks.tryAcquire('x', { shared: true })
    const two = opened.store.locks.tryAcquire('x', { shared: true })
    expect(two).toBeDefined()
    expect(opened.store.locks.tryAcquire('x')).toBeUndefined()
    await one?.[Symbol.asyncDispose]()
    expect(opened.store.locks.tryAcquire('x')).toBeUndefined()
    await two?.[Symbol.asyncDispose]()
    const alone = opened.store.locks.tryAcquire('x')
    expect(alone).toBeDefined()
    await alone?.[Symbol.asyncDispose]()
  })

  test('waiting ends with the signal', async () => {
    await using _held = await opened.store.locks.acquire('x')
    await expect(opened.store.locks.acquire('x', { signal: AbortSignal.timeout(20) })).rejects.toMatchObject({
      code: 'OCI_CANCELED',
    })
  })

  test('who gets his locks and no turn to use them, as the build was stopped meanwhile, lets them go', async () => {
    const held = await opened.store.locks.acquire('cache-mount-x')
    const whileWaiting = async <T>(wait: () => Promise<T>): Promise<T> => {
      await wait()
      throw new Error('stopped')
    }
    const waiting = opened.store.locks.hold('cache-mount', [{ name: 'x' }], { whileWaiting }, async () => 'worked')
    await held[Symbol.asyncDispose]()
    await expect(waiting).rejects.toThrow('stopped')
    await using lock = opened.store.locks.tryAcquire('cache-mount-x')
    expect(lock).toBeDefined()
  })

  test('no lock file stays behind', async () => {
    await (await opened.store.locks.acquire('x'))[Symbol.asyncDispose]()
    expect(readdirSync(join(opened.root, 'run')).filter((name) => name.startsWith('x'))).toEqual([])
  })
})
