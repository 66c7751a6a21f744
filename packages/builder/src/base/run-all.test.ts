import { setTimeout as delay } from 'node:timers/promises'
import { expect, test } from '@jest/globals'
import { runAll } from './run-all.ts'

const never = new AbortController().signal

test('works that all succeed give their results in order', async () => {
  expect(await runAll([async () => delay(5, 'slow'), async () => 'fast'], never)).toEqual(['slow', 'fast'])
})

test('when one fails the others are stopped, and have ended when it is told', async () => {
  let hasEnded = false
  const works = [
    async (signal: AbortSignal) => {
      try {
        await delay(60_000, undefined, { signal })
      } finally {
        await delay(5)
        hasEnded = true
      }
    },
    async () => {
      throw new Error('the first')
    },
  ]
  await expect(runAll(works, never)).rejects.toThrow('the first')
  expect(hasEnded).toBe(true)
})
