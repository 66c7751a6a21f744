import { canceled } from './retry.ts'

/** Work that several callers want: done once, kept when it went well. */
export interface Shared<T> {
  /**
   * Waits for what is under `key`, or has it made. Each waits only as long as its own signal lasts; the work itself ends
   * early when nobody waits for it any more, so who began it may leave.
   */
  get(key: string, signal: AbortSignal | undefined, work: (signal: AbortSignal) => Promise<T>): Promise<T>
  forget(key: string): void
}

interface Entry<T> {
  readonly result: Promise<T>
  readonly stop: AbortController
  waiting: number
}

export function createShared<T>(): Shared<T> {
  const entries = new Map<string, Entry<T>>()
  const begin = (key: string, work: (signal: AbortSignal) => Promise<T>): Entry<T> => {
    const stop = new AbortController()
    const entry: Entry<T> = { result: work(stop.signal), stop, waiting: 0 }
    entries.set(key, entry)
    // A failure does not stand for whoever asks later.
    entry.result.catch(() => leave(key, entry))
    return entry
  }
  const leave = (key: string, entry: Entry<T>): void => {
    if (entries.get(key) === entry) entries.delete(key)
  }
  return {
    forget: (key) => void entries.delete(key),
    get: async (key, signal, work) => {
      const entry = entries.get(key) ?? begin(key, work)
      entry.waiting++
      try {
        return await unlessCanceled(entry.result, signal)
      } catch (error) {
        if (entry.waiting === 1) {
          leave(key, entry)
          entry.stop.abort(error)
        }
        throw error
      } finally {
        entry.waiting--
      }
    },
  }
}

/** Waits for the work of somebody else, as long as our own signal lasts. */
export async function unlessCanceled<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return work
  if (signal.aborted) throw canceled(signal)
  const { promise, reject } = Promise.withResolvers<never>()
  const abort = (): void => reject(canceled(signal))
  signal.addEventListener('abort', abort, { once: true })
  try {
    return await Promise.race([work, promise])
  } finally {
    signal.removeEventListener('abort', abort)
  }
}
