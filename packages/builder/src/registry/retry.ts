import { setTimeout as sleep } from 'node:timers/promises'
import { BuilderError } from '../base/errors.ts'

const MAX_DELAY_MS = 30_000
/** A registry that wants a longer pause than this is told about instead of waited for. */
const MAX_RETRY_AFTER_MS = 60_000

export interface RetryPolicy {
  readonly retries: number
  readonly retryDelayMs: number
}

/** Runs `work` until it ends, fails for good, or the tries are used up. Pauses double, with chance so that clients do not march in step. */
export async function withRetries<T>(
  policy: RetryPolicy,
  signal: AbortSignal | undefined,
  work: (attempt: number) => Promise<T>,
): Promise<T> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await work(attempt)
    } catch (error) {
      const pauseMs = pauseAfter(error, attempt, policy)
      if (pauseMs === undefined) throw error
      await pause(pauseMs, signal)
    }
  }
}

/** Milliseconds to wait before the next try; undefined when there is none. */
export function pauseAfter(error: unknown, attempt: number, policy: RetryPolicy): number | undefined {
  if (!isTransient(error) || attempt >= policy.retries) return undefined
  const wished = (error as BuilderError).details['retryAfterMs']
  if (typeof wished === 'number') return wished > MAX_RETRY_AFTER_MS ? undefined : wished
  return Math.min(policy.retryDelayMs * 2 ** attempt, MAX_DELAY_MS) * (0.75 + Math.random() / 2)
}

/** Another try may help: a cut connection, a timeout, 429, 5xx. */
export function isTransient(error: unknown): boolean {
  return error instanceof BuilderError && error.details['isTransient'] === true
}

/** Waits, or ends early with the error of {@link canceled}. */
export async function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  try {
    await sleep(ms, undefined, { signal })
  } catch (cause) {
    throw canceled(signal, cause)
  }
}

/** What an aborted signal becomes: its own reason when that is an error of ours, else OCI_CANCELED. */
export function canceled(signal: AbortSignal | undefined, cause?: unknown): unknown {
  if (signal?.reason instanceof BuilderError) return signal.reason
  return new BuilderError('OCI_CANCELED', 'the transfer was canceled', { cause })
}

/** `Retry-After`: seconds or a date (RFC 9110 section 10.2.3). */
export function retryAfterMs(header: string | undefined, nowMs: number): number | undefined {
  if (header === undefined) return undefined
  if (/^\d{1,9}$/.test(header.trim())) return Number(header) * 1000
  const dateMs = Date.parse(header)
  return Number.isNaN(dateMs) ? undefined : Math.max(0, dateMs - nowMs)
}
