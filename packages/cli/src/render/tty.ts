import type { Session } from '../session.ts'
import { failureLog } from './failure-log.ts'
import type { Renderer } from './types.ts'
import { forTerminal } from './terminal-text.ts'
import { foldEvent, newTrace, takePartial } from './trace.ts'
import { composeFrame } from './tty-frame.ts'

const frameMs = 100
const keptLines = 100

export interface TtyOptions {
  readonly phase: string
  readonly color: boolean
}

/** A live display of what runs, since when, the end of its output, and transfers; redrawn ten times a second. */
export function ttyRenderer(terminal: Session['terminal'], options: TtyOptions): Renderer {
  const trace = newTrace(keptLines)
  const startedMs = Date.now()
  let drawn = 0
  const draw = (isFinal: boolean): void => {
    // A terminal of no size is one that does not tell it.
    const size = { width: terminal.columns || 80, height: terminal.rows || 24 }
    const lines = composeFrame(trace, { ...options, ...size, startedMs, nowMs: Date.now(), isFinal })
    // Each line erases what stood there; what the last frame had more is erased below.
    const up = drawn > 0 ? `\u001b[${drawn}A` : ''
    terminal.write(`\u001b[?25l${up}\r${lines.map((line) => `${line}\u001b[K\n`).join('')}\u001b[J\u001b[?25h`)
    drawn = lines.length
  }
  // A terminal that is stopped (Ctrl-S) has the newest frame when it goes on, and not all of them.
  const timer = setInterval(() => void (terminal.writableLength === 0 && draw(false)), frameMs)
  timer.unref()
  return {
    event: (event) => {
      const folded = foldEvent(trace, event)
      if (event.type === 'vertex' && event.completedMs !== undefined && folded !== undefined) takePartial(folded.vertex)
    },
    finish: () => {
      clearInterval(timer)
      draw(true)
      terminal.write(forTerminal(failureLog(trace)))
    },
  }
}
