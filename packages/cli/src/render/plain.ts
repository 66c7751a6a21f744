import type { ProgressEvent, StatusEvent } from '@ts-oci/builder'
import { failureLog } from './failure-log.ts'
import type { Renderer } from './types.ts'
import { statusAmount, statusName } from './status-text.ts'
import { nameLine, outputLine } from './terminal-text.ts'
import { foldEvent, isCompleted, newTrace, takePartial, type Trace, type TracedVertex } from './trace.ts'

// A vertex keeps the floor this long before another that has something to say gets it.
const turnMs = 5000
// Transfers are reported at every twentieth, and every five seconds.
const statusStep = 0.05
const statusPauseMs = 5000
// What waits is in memory: a step that writes much gets the floor sooner.
const maxWaiting = 1024 * 1024
// Transfers whose last report is remembered.
const maxReported = 10_000

interface PlainState {
  readonly trace: Trace
  readonly write: (text: string) => void
  readonly now: () => number
  /** Lines that wait for their vertex to get the floor. */
  readonly waiting: Map<TracedVertex, string[]>
  /** Characters of them all. */
  waitingLength: number
  readonly indexes: Map<TracedVertex, number>
  readonly reported: Map<StatusEvent['id'], { readonly current: number; readonly atMs: number }>
  readonly ended: Set<TracedVertex>
  /** Vertices whose reason for missing the cache was told. */
  readonly explained: Set<TracedVertex>
  current: TracedVertex | undefined
  turnStartedMs: number
  isFirst: boolean
}

/** Progress as lines of text in the format of BuildKit's plain output: `#5 [2/4] RUN …`, `#5 0.123 text`, `#5 DONE 0.2s`. */
export function plainRenderer(write: (text: string) => void, now: () => number = Date.now): Renderer {
  const state: PlainState = {
    trace: newTrace(),
    write,
    now,
    waiting: new Map(),
    waitingLength: 0,
    indexes: new Map(),
    reported: new Map(),
    ended: new Set(),
    explained: new Set(),
    current: undefined,
    turnStartedMs: 0,
    isFirst: true,
  }
  const timer = setInterval(() => flush(state), 1000)
  timer.unref()
  return {
    event: (event) => {
      take(state, event)
      flush(state)
    },
    finish: () => {
      clearInterval(timer)
      for (const vertex of state.waiting.keys()) speak(state, vertex)
      write(failureLog(state.trace))
    },
  }
}

function take(state: PlainState, event: ProgressEvent): void {
  const folded = foldEvent(state.trace, event)
  if (folded === undefined) return
  const { vertex, lines } = folded
  // A base is fetched when something reads it, which may be after its own vertex ended: that is told under its name.
  // One that was found in the cache has to run all the same when its files turn out to be gone.
  if (event.type === 'vertex' && !isCompleted(vertex)) state.ended.delete(vertex)
  const isLate = state.ended.has(vertex)
  if (vertex.event.startedMs === undefined) return
  if (isLate && (event.type !== 'status' || !isWorthReporting(state, event))) return
  if (isLate && event.type === 'status') {
    enqueue(state, vertex, [statusLine(event)])
    return
  }
  enqueue(state, vertex, [])
  if (vertex.event.missReason !== undefined && !state.explained.has(vertex)) {
    state.explained.add(vertex)
    enqueue(state, vertex, [`not cached: ${nameLine(vertex.event.missReason)}`])
  }
  if (lines.length > 0) {
    const time = sinceStart(vertex, event)
    enqueue(
      state,
      vertex,
      lines.map((line) => `${time} ${outputLine(line)}`),
    )
  }
  if (event.type === 'status' && isWorthReporting(state, event)) enqueue(state, vertex, [statusLine(event)])
  if (event.type === 'warning') enqueue(state, vertex, [`WARN: ${event.warning.message}`])
  if (event.type === 'vertex' && isCompleted(vertex)) {
    const rest = takePartial(vertex)
    if (rest !== undefined) enqueue(state, vertex, [`${sinceStart(vertex, event)} ${outputLine(rest)}`])
    if (vertex.event.cacheOrigin !== undefined)
      enqueue(state, vertex, [`from the cache ${nameLine(vertex.event.cacheOrigin)}`])
    enqueue(state, vertex, [endLine(vertex)])
    state.ended.add(vertex)
  }
}

function enqueue(state: PlainState, vertex: TracedVertex, lines: readonly string[]): void {
  const queue = state.waiting.get(vertex) ?? []
  state.waiting.set(vertex, queue)
  // No spread: a chunk can hold more lines than a call takes arguments.
  for (const line of lines) {
    queue.push(line)
    state.waitingLength += line.length
  }
}

/** What ended speaks at once, the current vertex goes on, and another gets the floor when its turn has come. */
function flush(state: PlainState): void {
  if (state.current !== undefined) speak(state, state.current)
  for (const vertex of state.waiting.keys()) if (state.ended.has(vertex)) speak(state, vertex)
  const [next] = [...state.waiting].find(([vertex, lines]) => vertex !== state.current && lines.length > 0) ?? []
  const isDue = state.now() - state.turnStartedMs > turnMs || state.waitingLength > maxWaiting
  if (next !== undefined && state.current !== undefined && isDue) speak(state, next)
  if (state.current === undefined) {
    const [first] = state.waiting.keys()
    if (first !== undefined) speak(state, first)
  }
}

function speak(state: PlainState, vertex: TracedVertex): void {
  const lines = state.waiting.get(vertex) ?? []
  const isNew = vertex !== state.current
  if (lines.length === 0 && !isNew) return
  const index = state.indexes.get(vertex) ?? state.indexes.size + 1
  state.indexes.set(vertex, index)
  if (isNew) {
    if (state.current !== undefined) state.write(`#${state.indexes.get(state.current)} ...\n`)
    state.write(`${state.isFirst ? '' : '\n'}#${index} ${nameLine(vertex.event.name)}\n`)
    state.isFirst = false
    state.current = vertex
    state.turnStartedMs = state.now()
  }
  if (lines.length === 0) return finishTurn(state, vertex)
  // Each line under the vertex's number: what a message holds cannot pass for a line of another.
  const start = `#${index} `
  state.write(`${start}${lines.join('\n').replaceAll('\n', `\n${start}`)}\n`)
  for (const { length } of lines) state.waitingLength -= length
  lines.length = 0
  finishTurn(state, vertex)
}

function finishTurn(state: PlainState, vertex: TracedVertex): void {
  if (!state.ended.has(vertex)) return
  state.waiting.delete(vertex)
  state.current = undefined
}

function endLine(vertex: TracedVertex): string {
  const { event } = vertex
  if (event.canceled === true) return 'CANCELED'
  if (event.error !== undefined) return `ERROR: ${event.error}`
  if (event.cached === true) return 'CACHED'
  return `DONE ${seconds((event.completedMs ?? 0) - (event.startedMs ?? 0), 1)}s`
}

function statusLine(event: StatusEvent): string {
  const amount = statusAmount(event)
  const elapsedMs = event.startedMs === undefined ? 0 : (event.completedMs ?? Date.now()) - event.startedMs
  const time = elapsedMs > 10 ? ` ${seconds(elapsedMs, 1)}s` : ''
  return `${nameLine(statusName(event))}${amount === '' ? '' : ` ${amount}`}${time}${event.completedMs === undefined ? '' : ' done'}`
}

function isWorthReporting(state: PlainState, event: StatusEvent): boolean {
  const key = `${event.vertex} ${event.id}`
  const last = state.reported.get(key)
  const current = event.current ?? 0
  const share = last === undefined || !event.total ? 0 : (current - last.current) / event.total
  const isDue = last === undefined || share >= statusStep || state.now() - last.atMs >= statusPauseMs
  if (!isDue && event.completedMs === undefined) return false
  state.reported.delete(key)
  state.reported.set(key, { current, atMs: state.now() })
  if (state.reported.size > maxReported) state.reported.delete(state.reported.keys().next().value!)
  return true
}

function sinceStart(vertex: TracedVertex, event: ProgressEvent): string {
  const atMs = event.type === 'log' ? event.timestampMs : (vertex.event.completedMs ?? vertex.event.startedMs ?? 0)
  const elapsedMs = Math.max(0, atMs - (vertex.event.startedMs ?? atMs))
  return seconds(elapsedMs, elapsedMs < 10_000 ? 3 : elapsedMs < 100_000 ? 2 : 1)
}

function seconds(ms: number, digits: number): string {
  return (ms / 1000).toFixed(digits)
}
