import type { RunContext } from './types.ts'

/** What is told of a vertex while it runs. */
export interface Watcher extends Pick<RunContext, 'log' | 'status'> {
  started(missReason?: string): void
  completed(): void
}

/** What builds of one session run at this moment. */
export interface Executions {
  /**
   * Runs what has this key, or joins the build that is at it: that one runs it for both, and what it tells of it both
   * hear, from the beginning. Answers under which key the record lies when it was another one.
   * A build that is stopped in the middle leaves it to one of those that joined.
   * @throws what the other one's run throws
   */
  run<T>(key: string, watcher: Watcher, signal: AbortSignal, work: Work<T>): Promise<Ran<T>>
}

/** @param watcher tells everybody who has joined */
export type Work<T> = (watcher: Watcher) => Promise<{ readonly recordKey: string; readonly value: T }>

export type Ran<T> = { readonly value: T } | { readonly joined: string }

interface Execution {
  readonly signal: AbortSignal
  readonly audience: Audience
  /** Key of the record that it left. */
  readonly done: Promise<string>
}

export function createExecutions(): Executions {
  const running = new Map<string, Execution>()

  const lead = async <T>(key: string, watcher: Watcher, signal: AbortSignal, work: Work<T>): Promise<Ran<T>> => {
    const audience = createAudience(watcher)
    const result = work(audience)
    const execution = { signal, audience, done: result.then(({ recordKey }) => recordKey) }
    // Nobody may have joined: the failure is that of whoever called.
    execution.done.catch(() => undefined)
    running.set(key, execution)
    try {
      return { value: (await result).value }
    } finally {
      running.delete(key)
    }
  }

  return {
    run: async (key, watcher, signal, work) => {
      for (;;) {
        const other = running.get(key)
        if (other === undefined) return lead(key, watcher, signal, work)
        other.audience.join(watcher)
        try {
          return { joined: await unlessAborted(other.done, signal) }
        } catch (error) {
          if (signal.aborted || !other.signal.aborted) throw error
        } finally {
          other.audience.leave(watcher)
        }
      }
    },
  }
}

/** Rejects when the signal is aborted, whatever becomes of the work. */
async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted()
  const { promise, reject } = Promise.withResolvers<never>()
  const abort = (): void => reject(signal.reason)
  signal.addEventListener('abort', abort, { once: true })
  try {
    return await Promise.race([work, promise])
  } finally {
    signal.removeEventListener('abort', abort)
  }
}

/** As much of what a step writes is kept for those who join; of what BuildKit shows of one it is all. */
const MAX_KEPT_BYTES = 2 * 1024 * 1024
const LEFT_OUT = Buffer.from('[earlier output left out]\n')

interface Audience extends Watcher {
  /** Tells what was told so far, and from then on what is told. */
  join(watcher: Watcher): void
  leave(watcher: Watcher): void
}

function createAudience(first: Watcher): Audience {
  const watchers = new Set([first])
  const logs: Parameters<Watcher['log']>[] = []
  const statuses = new Map<string, Parameters<Watcher['status']>>()
  let start: Parameters<Watcher['started']> | undefined
  let keptBytes = 0
  let isLeftOut = false
  return {
    started: (...told) => {
      start = told
      for (const watcher of watchers) watcher.started(...told)
    },
    completed: () => {
      for (const watcher of watchers) watcher.completed()
    },
    log: (stream, data) => {
      // The bytes are lent: whoever keeps them copies.
      logs.push([stream, Buffer.from(data)])
      keptBytes += data.length
      while (keptBytes > MAX_KEPT_BYTES) {
        keptBytes -= logs.shift()![1].length
        isLeftOut = true
      }
      for (const watcher of watchers) watcher.log(stream, data)
    },
    status: (...told) => {
      statuses.set(told[0], told)
      for (const watcher of watchers) watcher.status(...told)
    },
    join: (watcher) => {
      if (start !== undefined) watcher.started(...start)
      if (isLeftOut) watcher.log('stderr', LEFT_OUT)
      for (const log of logs) watcher.log(...log)
      for (const status of statuses.values()) watcher.status(...status)
      watchers.add(watcher)
    },
    leave: (watcher) => watchers.delete(watcher),
  }
}
