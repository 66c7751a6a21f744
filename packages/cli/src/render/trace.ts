import { StringDecoder } from 'node:string_decoder'
import type { BuildWarning, ProgressEvent, StatusEvent, VertexEvent } from '@ts-oci/builder'

/** One vertex as the renderers see it: its last event, its transfers, and the end of its output. */
export interface TracedVertex {
  event: VertexEvent
  /** In order of first appearance. */
  readonly statuses: Map<string, StatusEvent>
  readonly warnings: BuildWarning[]
  /** The last complete lines of output, oldest first; bounded by `maxLines`. */
  readonly lines: string[]
  /** Output after the last line feed. */
  partial: string
  readonly decoders: { readonly stdout: StringDecoder; readonly stderr: StringDecoder }
}

/** What happened so far, folded from events. Vertices are in the order in which they started. */
export interface Trace {
  readonly vertices: Map<string, TracedVertex>
  readonly started: TracedVertex[]
  readonly maxLines: number
}

export function newTrace(maxLines = 20): Trace {
  return { vertices: new Map(), started: [], maxLines }
}

/** Takes one event in; returns the vertex it concerns and, for output, the lines that it completed. */
export function foldEvent(trace: Trace, event: ProgressEvent): { vertex: TracedVertex; lines: string[] } | undefined {
  if (event.type === 'vertex') return { vertex: foldVertex(trace, event), lines: [] }
  const vertex = trace.vertices.get(event.vertex ?? '')
  if (vertex === undefined) return undefined
  if (event.type === 'status') vertex.statuses.set(event.id, event)
  if (event.type === 'warning') vertex.warnings.push(event.warning)
  const lines = event.type === 'log' ? foldLog(vertex, event.stream, event.data) : []
  vertex.lines.push(...lines.slice(-trace.maxLines))
  vertex.lines.splice(0, vertex.lines.length - trace.maxLines)
  return { vertex, lines }
}

/** Output that ended without a line feed, when the vertex is done. */
export function takePartial(vertex: TracedVertex): string | undefined {
  const rest = vertex.partial + vertex.decoders.stdout.end() + vertex.decoders.stderr.end()
  vertex.partial = ''
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
  if (vertex === undefined) {
    const decoders = { stdout: new StringDecoder('utf8'), stderr: new StringDecoder('utf8') }
    vertex = { event, statuses: new Map(), warnings: [], lines: [], partial: '', decoders }
    trace.vertices.set(event.id, vertex)
  }
  vertex.event = event
  if (!hadStarted && event.startedMs !== undefined) trace.started.push(vertex)
  return vertex
}

function foldLog(vertex: TracedVertex, stream: 'stdout' | 'stderr', data: Uint8Array): string[] {
  // A chunk may end inside a character: the decoder keeps the beginning for the next one.
  const text =
    vertex.partial + vertex.decoders[stream].write(Buffer.from(data.buffer, data.byteOffset, data.byteLength))
  const lines = text.split('\n')
  vertex.partial = lines.pop() ?? ''
  return lines.map((line) => (line.endsWith('\r') ? line.slice(0, -1) : line))
}
