import { setImmediate as pause } from 'node:timers/promises'
import { BuilderError } from '../base/errors.ts'

/** Work on many files, cut where it may rest: yields every now and then, returns its result. */
export type Pieces<Result> = Generator<undefined, Result, undefined>

/** What a job may look at while it works. */
export interface JobContext {
  readonly signal?: AbortSignal | undefined
}

/** How long nothing else happens in this process, milliseconds: far below the second in which Ctrl-C has to work. */
const WORK_MS = 50

/** Entries between two looks at the clock. */
export const ENTRIES_A_PIECE = 64

export function runAtOnce<Result>(pieces: Pieces<Result>): Result {
  for (;;) {
    const { done, value } = pieces.next()
    if (done === true) return value
  }
}

/** Runs work and lets others have their turn in between. @throws OCI_CANCELED */
export async function runWithPauses<Result>(pieces: Pieces<Result>, { signal }: JobContext = {}): Promise<Result> {
  for (let startMs = performance.now(); ;) {
    const { done, value } = pieces.next()
    if (done === true) return value
    if (performance.now() - startMs < WORK_MS) continue
    await pause()
    if (signal?.aborted === true) {
      // Runs what the work has in `finally`: descriptors are closed.
      pieces.return(undefined as never)
      throw new BuilderError('OCI_CANCELED', 'the build was canceled', { cause: signal.reason })
    }
    startMs = performance.now()
  }
}
