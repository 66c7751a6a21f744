import { BuilderError } from '../base/errors.ts'
import { withLocation } from '../base/locate-error.ts'
import type { Vertex } from '../graph/types.ts'
import { missingLayerOf } from '../layers/missing-form.ts'
import type { VertexReporter } from './reporter.ts'

/** The first failure of a build, which ends what is not needed any more. */
export interface Failures {
  /** Ends with the caller's signal, and with the first failure. */
  readonly signal: AbortSignal
  /** What went wrong in a vertex, with its place; everything else of the build stops. */
  failed(vertex: Vertex, cause: unknown): unknown
  /** As `failed`, for a layer that is gone and that nobody can make again. */
  lost(vertex: Vertex, error: unknown): void
  /** What a build that ended with `error` is to throw. */
  reason(error: unknown): unknown
}

/** @param inWords turns an error of the system into the one that a user reads. */
export function createFailures(
  caller: AbortSignal,
  reporter: Pick<VertexReporter, 'failed'>,
  inWords: (cause: unknown) => unknown,
): Failures {
  const failure = new AbortController()
  const signal = AbortSignal.any([caller, failure.signal])
  const tell = (vertex: Vertex, error: unknown): void => {
    const { aborted } = signal
    reporter.failed(vertex, error, aborted)
    if (!aborted) failure.abort(error)
  }
  return {
    signal,
    lost: tell,
    failed: (vertex, cause) => {
      const error = withLocation(inWords(cause), vertex.metadata.location)
      // A layer that is gone is not the end yet: whoever asked for it has it made again.
      if (missingLayerOf(error) === undefined) tell(vertex, error)
      return error
    },
    reason: (error) => (caller.aborted ? canceled(caller) : (failure.signal.reason ?? error)),
  }
}

function canceled({ reason }: AbortSignal): unknown {
  if (reason instanceof BuilderError) return reason
  return new BuilderError('OCI_CANCELED', 'the build was canceled', { cause: reason })
}
