import { describe, expect, test } from '@jest/globals'
import { runAtOnce, runWithPauses, type Pieces } from './pauses.ts'

/** Works for 5 ms a piece. */
function* work(count: number, ended: () => void): Pieces<string> {
  try {
    for (let index = 0; index < count; index++) {
      const endMs = performance.now() + 5
      while (performance.now() < endMs);
      yield
    }
    return 'done'
  } finally {
    ended()
  }
}

describe('work in pieces', () => {
  test('gives the same result at once and with pauses', async () => {
    expect(runAtOnce(work(3, () => undefined))).toBe('done')
    expect(await runWithPauses(work(3, () => undefined))).toBe('done')
  })

  test('lets others have their turn', async () => {
    let turns = 0
    const timer = setInterval(() => turns++, 1)
    await runWithPauses(work(60, () => undefined))
    clearInterval(timer)
    expect(turns).toBeGreaterThan(2)
  })

  test('ends soon after it is canceled, and closes what it holds', async () => {
    const stop = new AbortController()
    let hasEnded = false
    setTimeout(() => stop.abort(), 100)
    const startMs = Date.now()
    const working = runWithPauses(
      work(1000, () => (hasEnded = true)),
      { signal: stop.signal },
    )
    await expect(working).rejects.toMatchObject({ code: 'OCI_CANCELED' })
    expect(hasEnded).toBe(true)
    expect(Date.now() - startMs).toBeLessThan(2000)
  })

  test('tells the error of a piece', async () => {
    function* failing(): Pieces<void> {
      yield
      throw new Error('no')
    }
    await expect(runWithPauses(failing())).rejects.toThrow('no')
  })
})
