import { styleText } from 'node:util'
import type { StatusEvent } from '@ts-oci/builder'
import { shownLine } from './line-buffer.ts'
import { statusAmount, statusName } from './status-text.ts'
import { cellWidth, fit, safeLine } from './terminal-text.ts'
import { isCompleted, type Trace, type TracedVertex } from './trace.ts'

export interface FrameOptions {
  readonly phase: string
  readonly color: boolean
  readonly width: number
  readonly height: number
  readonly startedMs: number
  readonly nowMs: number
  /** The last frame shows everything, higher than the screen or not. */
  readonly isFinal: boolean
}

interface Row {
  readonly text: string
  readonly amount: string
  readonly elapsedMs: number
  readonly isDone: boolean
  readonly color: 'cyan' | 'red' | 'yellow'
  /** Lines of output below, of a vertex that runs. */
  readonly tail: readonly string[]
}

const tailHeight = 6

/** Cells of a name beside which its time is shown. */
const LEAST_NAME = 4

/** The lines of one frame, first the headline; never wider than the terminal, nor higher unless it is the last. */
export function composeFrame(trace: Trace, options: FrameOptions): string[] {
  const room = options.height - 2
  const rows = shownVertices(trace, options.isFinal ? Infinity : room).flatMap((vertex) => rowsOf(vertex, options))
  const shown = options.isFinal ? rows : withinHeight(rows, room)
  const talking = shown.filter((row) => row.tail.length > 0).length
  // Steps that run side by side share what is left of the screen.
  const share = Math.max(0, Math.min(tailHeight, Math.floor((room - shown.length) / Math.max(1, talking))))
  const lines = [headline(trace, options)]
  for (const row of shown) {
    lines.push(rowLine(row, options))
    const tail = options.isFinal ? [] : row.tail.slice(row.tail.length - Math.min(share, row.tail.length))
    for (const line of tail) lines.push(paint('dim', fit(` => => # ${safeLine(line)}`, options.width - 1), options))
  }
  return lines
}

/** What runs, and of what is done as many of the newest as could have a line: a frame costs what the screen holds. */
function shownVertices(trace: Trace, room: number): readonly TracedVertex[] {
  const { started, running } = trace
  if (started.length <= room) return started
  const newest = new Set(started.slice(-Math.max(1, room)))
  const older = [...running].filter((vertex) => !newest.has(vertex))
  return [...older, ...newest]
}

function headline(trace: Trace, options: FrameOptions): string {
  const count = trace.vertices.size
  const done = trace.completedCount
  const end = options.isFinal && done === count ? ' FINISHED' : ''
  const elapsed = ((options.nowMs - options.startedMs) / 1000).toFixed(1)
  return fit(`[+] ${options.phase} ${elapsed}s (${done}/${count})${end}`, options.width - 1)
}

function rowsOf(vertex: TracedVertex, options: FrameOptions): Row[] {
  const { event } = vertex
  const endMs = event.completedMs ?? options.nowMs
  const partial = shownLine(vertex.partial)
  const lines = partial === '' ? vertex.lines : [...vertex.lines, partial]
  const prefix =
    event.canceled === true
      ? 'CANCELED '
      : event.error !== undefined
        ? 'ERROR '
        : event.cached === true
          ? 'CACHED '
          : ''
  const own: Row = {
    text: ` => ${prefix}${safeLine(event.name)}`,
    amount: '',
    elapsedMs: endMs - (event.startedMs ?? endMs),
    isDone: isCompleted(vertex),
    color: event.canceled === true ? 'yellow' : event.error === undefined ? 'cyan' : 'red',
    tail: isCompleted(vertex) ? [] : lines,
  }
  const told = [
    ...(event.cacheOrigin === undefined ? [] : [`from the cache ${event.cacheOrigin}`]),
    ...(event.missReason === undefined ? [] : [`not cached: ${event.missReason}`]),
  ]
  const reasons = told.map((text): Row => {
    return { text: ` => => ${safeLine(text)}`, amount: '', elapsedMs: 0, isDone: true, color: 'cyan', tail: [] }
  })
  const warnings = vertex.warnings.map((warning): Row => {
    return {
      text: ` => WARN: ${safeLine(warning.message)}`,
      amount: '',
      elapsedMs: 0,
      isDone: true,
      color: 'yellow',
      tail: [],
    }
  })
  return [own, ...reasons, ...[...vertex.statuses.values()].map((status) => statusRow(status, options)), ...warnings]
}

function statusRow(status: StatusEvent, options: FrameOptions): Row {
  const endMs = status.completedMs ?? options.nowMs
  return {
    text: ` => => ${safeLine(statusName(status))}`,
    amount: statusAmount(status),
    elapsedMs: endMs - (status.startedMs ?? endMs),
    isDone: status.completedMs !== undefined,
    color: 'cyan',
    tail: [],
  }
}

/** What runs stays; what is done gives way, the oldest first. */
function withinHeight(rows: readonly Row[], height: number): Row[] {
  const surplus = rows.length - Math.max(1, height)
  if (surplus <= 0) return [...rows]
  const dropped = new Set(rows.filter((row) => row.isDone).slice(0, surplus))
  return rows.filter((row) => !dropped.has(row)).slice(-Math.max(1, height))
}

function rowLine(row: Row, options: FrameOptions): string {
  // Less than 50 ms is shown as nothing: digits that only flicker say nothing.
  const time = `${(row.elapsedMs < 50 ? 0 : row.elapsedMs / 1000).toFixed(1)}s`
  const left = options.width - 1 - time.length - 1
  // A line that breaks would move every later one. Here nothing but the name has room.
  if (left < LEAST_NAME) return fit(row.text, Math.max(0, options.width - 1))
  const amount = row.amount === '' || left - row.amount.length < 20 ? '' : ` ${row.amount}`
  const text = fit(row.text, left - amount.length) + amount
  const line = `${text}${' '.repeat(Math.max(1, left + 1 - cellWidth(text)))}${time}`
  return row.isDone ? paint(row.color, line, options) : line
}

function paint(style: 'cyan' | 'red' | 'yellow' | 'dim', text: string, options: FrameOptions): string {
  return options.color ? styleText(style, text, { validateStream: false }) : text
}
