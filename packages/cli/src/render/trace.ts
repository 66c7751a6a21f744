import { StringDecoder } from 'node:string_decoder'
import type { BuildWarning, ProgressEvent, StatusEvent, VertexEvent } from '@ts-oci/builder'
import { addText, newLineBuffer, takeRest, type LineBuffer } from './line-buffer.ts'

/** One vertex as the renderers see it: its last event, its transfers, and the end of its output. */
export interface TracedVertex {
  event: VertexEvent
  /** In order of first appearance; of what is done only the newest. */
  readonly statuses: Map<string, StatusEvent>
  readonly warnings: BuildWarning[]
  /** The last complete lines of output, oldest first; bounded by `maxLines`. */
  readonly lines: string[]
  /** Output after the last line feed. */
  readonly partial: LineBuffer
  readonly decoders: { readonly stdout: StringDecoder; readonly stderr: StringDecoder }
}

/** What happened so far, folded from events. Vertices are in the order in which they started. */
export interface Trace {
  readonly vertices: Map<string, TracedVertex>
  readonly started: TracedVertex[]
  /** Those of them that are not done. */
  readonly running: Set<TracedVertex>
  completedCount: number
  readonly maxLines: number
}

export function newTrace(maxLines = 20): Trace {
  return { vertices: new Map(), started: [], running: new Set(), completedCount: 0, maxLines }
}

/** Statuses that a vertex is remembered with: the files of a transfer, the blobs of a pull. */
const MAX_STATUSES = 200

/** Takes one event in; returns the vertex it concerns and, for output, the lines that it completed. */
export function foldEvent(trace: Trace, event: ProgressEvent): { vertex: TracedVertex; lines: string[] } | undefined {
  if (event.type === 'vertex') return { vertex: foldVertex(trace, event), lines: [] }
  const vertex = trace.vertices.get(event.vertex ?? '')
  if (vertex === undefined) return undefined
  if (event.type === 'status') foldStatus(vertex, event)
  if (event.type === 'warning') vertex.warnings.push(event.warning)
  const lines = event.type === 'log' ? foldLog(vertex, event.stream, event.data) : []
  if (lines.length === 0) return { vertex, lines }
  vertex.lines.push(...lines.slice(-trace.maxLines))
  vertex.lines.splice(0, vertex.lines.length - trace.maxLines)
  return { vertex, lines }
}

/** Output that ended without a line feed, when the vertex is done. */
export function takePartial(vertex: TracedVertex): string | undefined {
  for (const text of [vertex.decoders.stdout.end(), vertex.decoders.stderr.end()]) addText(vertex.partial, text)
  const rest = takeRest(vertex.partial)
  if (rest === '') return undefined
  vertex.lines.push(rest)
  return rest
}

export function isCompleted(vertex: TracedVertex): boolean {
  return vertex.event.completedMs !== undefined
}

function foldVertex(trace: Trace, event: VertexEvent): TracedVertex {
  let vertex = trace.vertices.get(event.id)
  const hadStarted = vertex?.event.startedMs !== undefined
  const wasCompleted = vertex !== undefined && isCompleted(vertex)
  if (vertex === undefined) {
    const decoders = { stdout: new StringDecoder('utf8'), stderr: new StringDecoder('utf8') }
    vertex = { event, statuses: new Map(), warnings: [], lines: [], partial: newLineBuffer(), decoders }
    trace.vertices.set(event.id, vertex)
  }
  vertex.event = event
  if (!hadStarted && event.startedMs !== undefined) trace.started.push(vertex)
  if (isCompleted(vertex)) trace.running.delete(vertex)
  else if (event.startedMs !== undefined) trace.running.add(vertex)
  if (isCompleted(vertex) !== wasCompleted) trace.completedCount += wasCompleted ? -1 : 1
  // Only of what failed is the last output shown again.
  if (isCompleted(vertex) && event.error === undefined) vertex.lines.length = 0
  return vertex
}

function foldStatus(vertex: TracedVertex, event: StatusEvent): void {
  vertex.statuses.set(event.id, event)
  if (vertex.statuses.size <= MAX_STATUSES) return
  for (const [id, status] of vertex.statuses) {
    if (status.completedMs === undefined) continue
    vertex.statuses.delete(id)
    return
  }
}

function foldLog(vertex: TracedVertex, stream: 'stdout' | 'stderr', data: Uint8Array): string[] {
  // A chunk may end inside a character: the decoder keeps the beginning for the next one.
  return addText(
    vertex.partial,
    vertex.decoders[stream].write(Buffer.from(data.buffer, data.byteOffset, data.byteLength)),
  )
}
