import { BuilderError, isTsOciError, type BuilderErrorCode, type ErrorLocation } from './errors.ts'
import { codeFrame, createSourceFile } from './source.ts'

/** The same error with a place, where it has none yet: whatever goes wrong in a vertex is the affair of its instruction. */
export function withLocation(error: unknown, location: ErrorLocation | undefined): unknown {
  if (location === undefined || !isTsOciError(error) || error.location !== undefined) return error
  const { hint, cause, details, codeFrame: frame } = error
  const located = new BuilderError(error.code as BuilderErrorCode, error.message, {
    hint,
    cause,
    details,
    location,
    codeFrame: frame,
  })
  if (error.stack !== undefined) located.stack = error.stack
  return located
}

/** The same error with the excerpt of the file that it speaks of. */
export function withCodeFrame(
  error: unknown,
  dockerfile: { readonly name: string; readonly text: string } | undefined,
): unknown {
  if (
    dockerfile === undefined ||
    !isTsOciError(error) ||
    error.location === undefined ||
    error.codeFrame !== undefined ||
    error.location.file !== dockerfile.name
  )
    return error
  const { location, hint, cause, details } = error
  const file = createSourceFile(dockerfile.name, dockerfile.text)
  const range = {
    file,
    start: { line: location.startLine, column: location.startColumn },
    end: { line: location.endLine, column: location.endColumn },
  }
  const framed = new BuilderError(error.code as BuilderErrorCode, error.message, {
    hint,
    cause,
    details,
    location,
    codeFrame: codeFrame(range),
  })
  if (error.stack !== undefined) framed.stack = error.stack
  return framed
}
