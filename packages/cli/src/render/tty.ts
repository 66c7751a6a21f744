import type { CommandIo } from '../command-io.ts'
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
export function ttyRenderer(terminal: CommandIo['terminal'], options: TtyOptions): Renderer {
  const trace = newTrace(keptLines)
  const startedMs = Date.now()
  let drawn = 0
  let drawnWidth = 0
  const draw = (isFinal: boolean): void => {
    // A terminal of no size is one that does not tell it.
    const size = { width: terminal.columns || 80, height: terminal.rows || 24 }
    const lines = composeFrame(trace, { ...options, ...size, startedMs, nowMs: Date.now(), isFinal })
    // Each line erases what stood there; what the last frame had more is erased below. A terminal that became narrower has
    // broken its lines, or cut them, and some tell it later than they do it (tmux): what stands where is not known any
    // more, so the screen begins anew. Most terminals keep what was on it in their scrollback.
    const isBroken = size.width < drawnWidth
    const up = isBroken ? '\u001b[H\u001b[2J' : drawn > 0 ? `\u001b[${drawn}A` : ''
    terminal.write(`\u001b[?25l${up}\r${lines.map((line) => `${line}\u001b[K\n`).join('')}\u001b[J\u001b[?25h`)
    drawn = lines.length
    drawnWidth = size.width
  }
  // A terminal that is stopped (Ctrl-S) has the newest frame when it goes on, and not all of them.
  const redraw = (): void => void (terminal.writableLength === 0 && draw(false))
  const timer = setInterval(redraw, frameMs)
  terminal.on('resize', redraw)
  timer.unref()
  return {
    event: (event) => {
      const folded = foldEvent(trace, event)
      if (event.type === 'vertex' && event.completedMs !== undefined && folded !== undefined) takePartial(folded.vertex)
    },
    finish: () => {
      clearInterval(timer)
      terminal.off('resize', redraw)
      draw(true)
      terminal.write(forTerminal(failureLog(trace)))
    },
  }
}
