/** Where in a text an error lies; lines and columns count from 1, the end is exclusive. */
export interface ErrorLocation {
  readonly file: string
  readonly startLine: number
  readonly startColumn: number
  readonly endLine: number
  readonly endColumn: number
}

export interface TsOciErrorOptions {
  /** What to do now, one sentence. */
  readonly hint?: string | undefined
  readonly cause?: unknown
  readonly location?: ErrorLocation | undefined
  /** The excerpt of the text around `location`, ready to print. */
  readonly codeFrame?: string | undefined
  /** Facts about the failure, for programs. */
  readonly details?: Readonly<Record<string, unknown>> | undefined
}

/**
 * The one base class of every error that is not a bug of ours.
 * `code` is stable (`OCI_…`) and is what programs compare; `message` says what failed and which one.
 */
export class TsOciError extends Error {
  readonly code: string
  readonly hint: string | undefined
  readonly location: ErrorLocation | undefined
  readonly codeFrame: string | undefined
  readonly details: Readonly<Record<string, unknown>>

  constructor(code: string, message: string, options: TsOciErrorOptions = {}) {
    super(scrubCredentials(message), options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'TsOciError'
    this.code = code
    this.hint = options.hint === undefined ? undefined : scrubCredentials(options.hint)
    this.location = options.location
    this.codeFrame = options.codeFrame
    this.details = options.details ?? {}
  }
}

/** True for our errors, also when they come from another realm or copy of the package (Jest, workers). */
export function isTsOciError(error: unknown): error is TsOciError {
  return (
    typeof error === 'object' &&
    error !== null &&
    typeof (error as { code?: unknown }).code === 'string' &&
    (error as { code: string }).code.startsWith('OCI_')
  )
}

/** Removes user:password parts of URLs and Authorization values: no credential may reach a message. */
export function scrubCredentials(text: string): string {
  return (
    text
      // A password may hold an `@`; of http also a name alone: tokens are given so. git:// has no users at all.
      // Found by its colon: to look for the scheme from each letter on takes the square of a long word's length.
      .replace(/(?<=[a-z0-9+.-]:\/\/)[^\s/?#@:]*:[^\s/?#]*@/gi, '***@')
      .replace(/((?:https?|git):\/\/)[^\s/?#@]+@/gi, '$1***@')
      .replace(/\b(Basic|Bearer)\s+[A-Za-z0-9+/=._~-]{8,}/g, '$1 ***')
  )
}

/** Codes of this package, declared once. */
export type RuntimeErrorCode =
  | 'OCI_RUNTIME_NATIVE_MISSING'
  | 'OCI_RUNTIME_UNSUPPORTED'
  | 'OCI_RUNTIME_ISOLATION_UNAVAILABLE'
  | 'OCI_RUNTIME_ID_UNAVAILABLE'
  | 'OCI_RUNTIME_EXECUTOR'
  | 'OCI_RUNTIME_EXECUTOR_DIED'
  | 'OCI_RUNTIME_STEP_START'
  | 'OCI_RUNTIME_MOUNT'
  | 'OCI_RUNTIME_LIMIT_UNAVAILABLE'
  | 'OCI_RUNTIME_CANCELED'
  | 'OCI_RUNTIME_FILES'

export class RuntimeError extends TsOciError {
  declare readonly code: RuntimeErrorCode
  constructor(code: RuntimeErrorCode, message: string, options: TsOciErrorOptions = {}) {
    super(code, message, options)
    this.name = 'RuntimeError'
  }
}
