/** Work that nobody waits for: it is done while this process waits for others. */
export interface IdleWork {
  add(work: () => Promise<void>): void
  /** Does what is left. */
  settle(): Promise<void>
}

/** What fails is forgotten: only for what somebody else does later all the same. */
export function createIdleWork(): IdleWork {
  const waiting: (() => Promise<void>)[] = []
  let running = Promise.resolve()
  let isScheduled = false

  const work = (): void => {
    isScheduled = false
    for (const one of waiting.splice(0)) running = running.then(one).catch(() => undefined)
  }

  return {
    add(one) {
      waiting.push(one)
      if (isScheduled) return
      isScheduled = true
      // Behind all that follows at once from what has just happened: the next step is under way by then.
      setImmediate(work)
    },
    async settle() {
      work()
      await running
    },
  }
}
