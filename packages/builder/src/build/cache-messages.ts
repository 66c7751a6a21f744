import { BuilderError } from '../base/errors.ts'
import type { ProgressSink } from '../base/progress.ts'

export function warn(sink: ProgressSink, message: string): void {
  sink({ type: 'warning', warning: { rule: '', message } })
}

export function messageOf(error: unknown): string {
  return error instanceof BuilderError || error instanceof Error ? error.message : String(error)
}
