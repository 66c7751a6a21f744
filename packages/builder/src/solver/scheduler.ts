import PQueue from 'p-queue'

/** A turn at work within the bound. */
export interface Slot {
  /** Gives the turn away while something is waited for that other work may have to bring about, and takes the next one then. */
  whileWaiting<T>(wait: () => Promise<T>): Promise<T>
}

/** Runs work within a bound of pieces at the same time; started in the order of the calls. */
export interface Scheduler {
  run<T>(work: (slot: Slot) => Promise<T>, signal: AbortSignal): Promise<T>
}

/** Who waited for a lock holds it now, and others wait for that: it goes before work that has not begun. */
const FIRST = 1

/** @param concurrency how many pieces of work may run at the same time. */
export function createScheduler(concurrency: number): Scheduler {
  const queue = new PQueue({ concurrency })

  /** Resolves when it is this one's turn, with what ends it. */
  function enter(priority: number, signal: AbortSignal): Promise<() => void> {
    signal.throwIfAborted()
    return new Promise((resolve, reject) => {
      const abort = (): void => reject(signal.reason)
      signal.addEventListener('abort', abort, { once: true })
      const turn = async (): Promise<void> => {
        signal.removeEventListener('abort', abort)
        // Nobody is there any more to end a turn that begins now.
        if (signal.aborted) return
        await new Promise<void>((leave) => resolve(leave))
      }
      void queue.add(turn, { priority })
    })
  }

  return {
    run: async (work, signal) => {
      let leave: (() => void) | undefined = await enter(0, signal)
      const slot: Slot = {
        whileWaiting: async (wait) => {
          leave?.()
          leave = undefined
          const result = await wait()
          leave = await enter(FIRST, signal)
          return result
        },
      }
      try {
        return await work(slot)
      } finally {
        leave?.()
      }
    },
  }
}
