import { nameLine, outputLine } from './terminal-text.ts'
import type { Trace } from './trace.ts'

/** The last output of every vertex that failed and said something, to stand below the progress where it is not scrolled away. */
export function failureLog(trace: Trace): string {
  const parts: string[] = []
  for (const { event, lines } of trace.started) {
    if (event.error === undefined || event.canceled === true || lines.length === 0) continue
    parts.push(`------\n > ${nameLine(event.name)}:\n${lines.map((line) => `${outputLine(line)}\n`).join('')}------\n`)
  }
  return parts.join('')
}
