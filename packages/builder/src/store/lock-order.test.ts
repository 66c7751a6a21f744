import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { LOCK_KINDS } from './lock-order.ts'
import { createLocks } from './locks.ts'
import type { Locks } from './types.ts'

let root: string
let locks: Locks
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'ts-oci-locks-'))
  locks = createLocks(root, join(root, 'run'))
})
afterEach(() => rmSync(root, { recursive: true, force: true }))

const nothing = async (): Promise<void> => undefined
const pairs = LOCK_KINDS.flatMap((outer, i) => LOCK_KINDS.map((inner, j) => ({ outer, inner, isAllowed: i < j })))

test.each(pairs.filter(({ isAllowed }) => isAllowed))('$inner may be asked for by who holds $outer', async (pair) => {
  await locks.hold(pair.outer, [{ name: 'a' }], {}, () => locks.hold(pair.inner, [{ name: 'b' }], {}, nothing))
})

test.each(pairs.filter(({ isAllowed }) => !isAllowed))('$inner is refused to who holds $outer', async (pair) => {
  const nested = locks.hold(pair.outer, [{ name: 'a' }], {}, async () => {
    // Also behind an await, and in another branch of the same work.
    await Promise.all([delay(1), delay(2).then(() => locks.hold(pair.inner, [{ name: 'b' }], {}, nothing))])
  })
  await expect(nested).rejects.toThrow(/is asked for by who holds/)
})

test('work side by side holds its own locks only', async () => {
  const hold = (name: string): Promise<void> => locks.hold('layer', [{ name }], {}, () => delay(5))
  await Promise.all([hold('a'), hold('b'), hold('a')])
})

test('two who want the same locks in opposite orders both get them', async () => {
  const wishes = [{ name: 'x' }, { name: 'y', shared: true }, { name: 'z' }]
  const hold = (list: typeof wishes): Promise<void> => locks.hold('cache-mount', list, {}, () => delay(1))
  const rounds = Array.from({ length: 20 }, () => [hold(wishes), hold(wishes.toReversed())])
  await Promise.all(rounds.flat())
})

test('a lock that is wanted twice is taken once, alone if it is wanted alone in one place', async () => {
  const wishes = [
    { name: 'x', shared: true },
    { name: 'x', shared: false },
  ]
  await locks.hold('cache-mount', wishes, {}, async () => {
    expect(locks.tryHoldAll('cache-mount', [{ name: 'x', shared: true }])).toBeUndefined()
  })
  await using free = locks.tryHoldAll('cache-mount', [{ name: 'x' }])
  expect(free).toBeDefined()
})

test('who waits alone is not passed by those who would share', async () => {
  const order: string[] = []
  const share = (name: string, ms: number): Promise<void> =>
    locks.hold('cache-mount', [{ name: 'x', shared: true }], {}, async () => {
      order.push(name)
      await delay(ms)
    })
  const first = share('first', 60)
  await delay(10)
  const alone = locks.hold('cache-mount', [{ name: 'x' }], {}, async () => void order.push('alone'))
  await delay(10)
  const late = share('late', 1)
  await Promise.all([first, alone, late])
  expect(order).toEqual(['first', 'alone', 'late'])
})

test('a wait ends with its signal, lets go of what it had, and runs nothing', async () => {
  const held = locks.tryHoldAll('cache-mount', [{ name: 'b' }])
  let hasRun = false
  const wishes = [{ name: 'a' }, { name: 'b' }, { name: 'c' }]
  const waiting = locks.hold('cache-mount', wishes, { signal: AbortSignal.timeout(20) }, async () => {
    hasRun = true
  })
  await expect(waiting).rejects.toMatchObject({ code: 'OCI_CANCELED' })
  expect(hasRun).toBe(false)
  await held?.[Symbol.asyncDispose]()
  await using all = locks.tryHoldAll('cache-mount', wishes)
  expect(all).toBeDefined()
})

test('who has to wait is told, who has not is not', async () => {
  const waits: string[] = []
  const hold = (name: string): Promise<void> =>
    locks.hold(
      'cache-mount',
      [{ name: 'x' }],
      {
        whileWaiting: (wait) => {
          waits.push(name)
          return wait()
        },
      },
      () => delay(10),
    )
  await Promise.all([hold('first'), hold('second')])
  expect(waits).toEqual(['second'])
})
