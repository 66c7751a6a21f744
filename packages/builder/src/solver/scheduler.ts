import PQueue from 'p-queue'

/** Runs work within a bound of pieces at the same time; started in the order of the calls. */
export interface Scheduler {
  run<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T>
}

/** @param concurrency how many pieces of work may run at the same time. */
export function createScheduler(concurrency: number): Scheduler {
  const queue = new PQueue({ concurrency })
  return {
    run: async (work, signal) =>
      queue.add(async () => {
        signal.throwIfAborted()
        return work()
      }),
  }
}
