import { UsageError } from '../usage-error.ts'
import { colorError } from './color.ts'

interface KnownError {
  readonly code: string
  readonly message: string
  readonly hint?: string
  readonly codeFrame?: string
}

/** An error as people read it: code frame, message, code and hint. A bug of ours keeps its stack. */
export function renderError(error: unknown, isColored = false): string {
  const text = errorText(error)
  return isColored ? colorError(text) : text
}

function errorText(error: unknown): string {
  if (error instanceof UsageError) return lines(`ERROR: ${error.message}`, hintLine(error.hint))
  if (isKnown(error)) {
    const frame = error.codeFrame === undefined ? undefined : error.codeFrame.trimEnd()
    return lines(frame, `ERROR: ${error.message}`, `  code: ${error.code}`, hintLine(error.hint))
  }
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
  return lines(`ERROR: ${text}`, '  this is a bug of tsbuild: please report it with the lines above')
}

/** The exit status for an error: 125 for flags as Docker, 130 after Ctrl-C, else 1. */
export function exitStatusOf(error: unknown): number {
  if (error instanceof UsageError) return error.exitCode
  return isKnown(error) && error.code.endsWith('_CANCELED') ? 130 : 1
}

// Errors are known by their code and not by their class: the library may be there twice.
function isKnown(error: unknown): error is KnownError {
  const code = typeof error === 'object' && error !== null ? (error as { code?: unknown }).code : undefined
  return typeof code === 'string' && code.startsWith('OCI_')
}

function hintLine(hint: string | undefined): string | undefined {
  return hint === undefined ? undefined : `  hint: ${hint}`
}

function lines(...parts: readonly (string | undefined)[]): string {
  return `${parts.filter((part) => part !== undefined).join('\n')}\n`
}
