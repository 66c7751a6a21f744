import { BuilderError } from '../../../base/errors.ts'
import type { SourceRange } from '../../../base/source.ts'
import { dockerfileError } from '../read/errors.ts'
import { isComplaint } from '../expand/complaint.ts'

/** The error with the place in the file that it is about, unless it has one; anything unknown stays as it is. */
export function located(error: unknown, location: SourceRange): unknown {
  if (isComplaint(error))
    return dockerfileError(error.message, location, { code: 'OCI_DOCKERFILE_INVALID', cause: error })
  if (!(error instanceof BuilderError) || error.location !== undefined) return error
  return dockerfileError(error.message, location, {
    code: error.code,
    hint: error.hint,
    cause: error,
    details: error.details,
  })
}

/** Receives errors instead of their being thrown, so that the next one is found as well. */
export type ErrorSink = (error: BuilderError) => void

/** Runs `work`; what it throws gets the place, and goes to `sink` if there is one. */
export function guarded(location: SourceRange, sink: ErrorSink | undefined, work: () => void): void {
  try {
    work()
  } catch (error) {
    const known = located(error, location)
    if (sink === undefined || !(known instanceof BuilderError)) throw known
    sink(known)
  }
}

/** Runs `work`; what it throws gets the place. */
export function withLocation<T>(location: SourceRange, work: () => T): T {
  try {
    return work()
  } catch (error) {
    throw located(error, location)
  }
}
