import type { Vertex } from '../graph/types.ts'
import type { ProgressSink, StatusProgress, VertexEvent } from '../base/progress.ts'
import type { Digest } from '../oci/digest.ts'

/** How one vertex ended. */
export interface VertexState {
  readonly vertex: Vertex
  startedMs?: number
  completedMs?: number
  cached?: boolean
  error?: string
  canceled?: boolean
  missReason?: string
  cacheOrigin?: string
}

/** Turns what the solver does into progress events, and keeps the last state of each vertex for the result. */
export interface VertexReporter {
  known(vertex: Vertex): void
  /** `again`: it may have been told of as done, and has to be run all the same. */
  started(vertex: Vertex, missReason?: string, again?: boolean): void
  /** @param origin the cache from elsewhere that it was found in */
  completed(vertex: Vertex, cached: boolean, origin?: string): void
  failed(vertex: Vertex, error: unknown, canceled: boolean): void
  log(vertex: Vertex, stream: 'stdout' | 'stderr', data: Uint8Array): void
  status(vertex: Vertex | Digest, id: string, text: string, progress: StatusProgress): void
  states(): readonly VertexState[]
}

export function createVertexReporter(sink: ProgressSink): VertexReporter {
  const states = new Map<Digest, VertexState>()
  const stateOf = (vertex: Vertex): VertexState => {
    let state = states.get(vertex.digest)
    if (state === undefined) states.set(vertex.digest, (state = { vertex }))
    return state
  }
  const emit = (state: VertexState): void => sink(vertexEvent(state))
  return {
    known: (vertex) => emit(stateOf(vertex)),
    started: (vertex, missReason, again = false) => {
      const state = stateOf(vertex)
      if (state.error !== undefined || (state.completedMs !== undefined && !again)) return
      if (state.completedMs !== undefined) {
        delete state.startedMs
        delete state.completedMs
        delete state.cached
        delete state.cacheOrigin
      }
      state.startedMs ??= Date.now()
      if (missReason !== undefined) state.missReason = missReason
      emit(state)
    },
    completed: (vertex, cached, origin) => {
      const state = stateOf(vertex)
      if (state.completedMs !== undefined) return
      state.completedMs = Date.now()
      state.startedMs ??= state.completedMs
      state.cached = cached
      if (origin !== undefined) state.cacheOrigin = origin
      emit(state)
    },
    failed: (vertex, error, canceled) => {
      const state = stateOf(vertex)
      if (state.error !== undefined) return
      state.completedMs = Date.now()
      state.startedMs ??= state.completedMs
      state.cached = false
      state.error = error instanceof Error ? error.message : String(error)
      state.canceled = canceled
      emit(state)
    },
    log: (vertex, stream, data) => sink({ type: 'log', vertex: vertex.digest, stream, data, timestampMs: Date.now() }),
    status: (vertex, id, text, progress) =>
      sink({ type: 'status', vertex: typeof vertex === 'string' ? vertex : vertex.digest, id, text, ...progress }),
    states: () => [...states.values()],
  }
}

function vertexEvent(state: VertexState): VertexEvent {
  return {
    type: 'vertex',
    id: state.vertex.digest,
    name: state.vertex.metadata.name,
    inputs: state.vertex.inputs.map((edge) => edge.vertex.digest),
    ...(state.startedMs === undefined ? {} : { startedMs: state.startedMs }),
    ...(state.completedMs === undefined ? {} : { completedMs: state.completedMs }),
    ...(state.cached === undefined ? {} : { cached: state.cached }),
    ...(state.error === undefined ? {} : { error: state.error }),
    ...(state.canceled === undefined ? {} : { canceled: state.canceled }),
    ...(state.cacheOrigin === undefined ? {} : { cacheOrigin: state.cacheOrigin }),
    ...(state.missReason === undefined ? {} : { missReason: state.missReason }),
  }
}
