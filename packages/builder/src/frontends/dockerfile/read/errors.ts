/** Errors of the Dockerfile frontend: BuildKit's words, with the place and an excerpt. */
import { BuilderError, type BuilderErrorCode, type ErrorLocation } from '../../../base/errors.ts'
import { codeFrame, type SourceRange } from '../../../base/source.ts'

/** The place of an error in the shape that every error of the project has. */
export function toErrorLocation(range: SourceRange): ErrorLocation {
  return {
    file: range.file.name,
    startLine: range.start.line,
    startColumn: range.start.column,
    endLine: range.end.line,
    endColumn: range.end.column,
  }
}

export interface DockerfileErrorOptions {
  readonly code?: BuilderErrorCode
  readonly hint?: string | undefined
  readonly cause?: unknown
  /** Range of the excerpt when it is wider than the place itself, such as the whole instruction. */
  readonly frame?: SourceRange
  readonly details?: Readonly<Record<string, unknown>>
}

/** An error about a place in a Dockerfile. */
export function dockerfileError(
  message: string,
  range: SourceRange,
  options: DockerfileErrorOptions = {},
): BuilderError {
  return new BuilderError(options.code ?? 'OCI_DOCKERFILE_PARSE', message, {
    hint: options.hint,
    cause: options.cause,
    location: toErrorLocation(range),
    codeFrame: codeFrame(options.frame ?? range),
    details: options.details,
  })
}
