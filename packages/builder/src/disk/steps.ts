import { setImmediate as pause } from 'node:timers/promises'
import { BuilderError } from '../base/errors.ts'

/** Work on many files, cut where it may rest: yields every now and then, returns its result. */
export type Steps<Result> = Generator<undefined, Result, undefined>

/** What a job may look at while it works. */
export interface StepsContext {
  readonly signal?: AbortSignal | undefined
}

/** How long nothing else happens in this process, milliseconds: far below the second in which Ctrl-C has to work. */
const WORK_MS = 50

/** Entries between two looks at the clock. */
export const ENTRIES_A_STEP = 64

export function runAtOnce<Result>(steps: Steps<Result>): Result {
  for (;;) {
    const { done, value } = steps.next()
    if (done === true) return value
  }
}

/** Runs work and lets others have their turn in between. @throws OCI_CANCELED */
export async function runWithPauses<Result>(steps: Steps<Result>, { signal }: StepsContext = {}): Promise<Result> {
  for (let startMs = performance.now(); ;) {
    const { done, value } = steps.next()
    if (done === true) return value
    if (performance.now() - startMs < WORK_MS) continue
    await pause()
    if (signal?.aborted === true) {
      // Runs what the work has in `finally`: descriptors are closed.
      steps.return(undefined as never)
      throw new BuilderError('OCI_CANCELED', 'the build was canceled', { cause: signal.reason })
    }
    startMs = performance.now()
  }
}
