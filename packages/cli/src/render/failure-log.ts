import type { Trace } from './trace.ts'

/** The last output of every vertex that failed, to stand below the progress where it is not scrolled away. */
export function failureLog(trace: Trace): string {
  let text = ''
  for (const { event, lines } of trace.started) {
    if (event.error === undefined || event.canceled === true) continue
    text += `------\n > ${event.name}:\n${lines.map((line) => `${line}\n`).join('')}------\n`
  }
  return text
}
