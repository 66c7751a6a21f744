import { canceled } from './retry.ts'

/** Runs at most so many jobs at once, the others in the order of asking. */
export type Limiter = <T>(signal: AbortSignal | undefined, job: () => Promise<T>) => Promise<T>

/** See {@link Limiter}. A job whose signal is aborted while it waits never starts. */
export function createLimiter(limit: number): Limiter {
  const waiting: (() => void)[] = []
  let running = 0
  return async (signal, job) => {
    if (running >= limit) await queue(waiting, signal)
    else running++
    try {
      if (signal?.aborted === true) throw canceled(signal)
      return await job()
    } finally {
      // The place is handed over, not given back, so that a newcomer cannot take it in between.
      const next = waiting.shift()
      if (next === undefined) running--
      else next()
    }
  }
}

function queue(waiting: (() => void)[], signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const start = (): void => {
      signal?.removeEventListener('abort', giveUp)
      resolve()
    }
    const giveUp = (): void => {
      const index = waiting.indexOf(start)
      if (index !== -1) waiting.splice(index, 1)
      reject(canceled(signal))
    }
    if (signal?.aborted === true) return reject(canceled(signal))
    waiting.push(start)
    signal?.addEventListener('abort', giveUp, { once: true })
  })
}
