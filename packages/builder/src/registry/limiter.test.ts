import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from '@jest/globals'
import { createLimiter } from './limiter.ts'
import { BuilderError } from '../base/errors.ts'
import { pauseAfter, retryAfterMs, withRetries } from './retry.ts'

test('no more jobs run at once than allowed, and all of them run', async () => {
  const limiter = createLimiter(2)
  let running = 0
  let most = 0
  const job = async (): Promise<void> => {
    most = Math.max(most, ++running)
    await sleep(5)
    running--
  }
  await Promise.all(Array.from({ length: 7 }, () => limiter(undefined, job)))
  expect([most, running]).toEqual([2, 0])
})

test('a job that fails gives its place to the next', async () => {
  const limiter = createLimiter(1)
  await expect(limiter(undefined, () => Promise.reject(new Error('no')))).rejects.toThrow('no')
  await expect(limiter(undefined, async () => 1)).resolves.toBe(1)
})

test('a job that is canceled while it waits never starts, and does not keep its place', async () => {
  const limiter = createLimiter(1)
  const abort = new AbortController()
  let started = false
  const first = limiter(undefined, () => sleep(20))
  const second = limiter(abort.signal, async () => {
    started = true
  })
  const third = limiter(undefined, async () => 3)
  abort.abort()
  await expect(second).rejects.toMatchObject({ code: 'OCI_CANCELED' })
  await first
  await expect(third).resolves.toBe(3)
  expect(started).toBe(false)
})

const passing = (details = {}): BuilderError =>
  new BuilderError('OCI_REGISTRY_UNREACHABLE', 'x', { details: { isTransient: true, ...details } })

test('what may pass is tried again, so often and no more', async () => {
  let calls = 0
  const work = async (): Promise<void> => {
    calls++
    throw passing()
  }
  await expect(withRetries({ retries: 2, retryDelayMs: 1 }, undefined, work)).rejects.toMatchObject({
    code: 'OCI_REGISTRY_UNREACHABLE',
  })
  expect(calls).toBe(3)
})

test('what lasts is not tried again', async () => {
  let calls = 0
  const work = async (): Promise<void> => {
    calls++
    throw new BuilderError('OCI_REGISTRY_NOT_FOUND', 'x')
  }
  await expect(withRetries({ retries: 5, retryDelayMs: 1 }, undefined, work)).rejects.toMatchObject({
    code: 'OCI_REGISTRY_NOT_FOUND',
  })
  expect(calls).toBe(1)
})

test('Retry-After decides the pause, and a very long one ends the tries', () => {
  const policy = { retries: 5, retryDelayMs: 1 }
  expect(pauseAfter(passing({ retryAfterMs: 3000 }), 0, policy)).toBe(3000)
  expect(pauseAfter(passing({ retryAfterMs: 3_600_000 }), 0, policy)).toBeUndefined()
})

test('Retry-After is seconds or a date', () => {
  const now = Date.parse('Sun, 06 Nov 1994 08:49:37 GMT')
  expect(retryAfterMs('120', now)).toBe(120_000)
  expect(retryAfterMs('Sun, 06 Nov 1994 08:49:47 GMT', now)).toBe(10_000)
  expect(retryAfterMs('soon', now)).toBeUndefined()
})
