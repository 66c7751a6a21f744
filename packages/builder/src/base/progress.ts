import type { ErrorLocation } from './errors.ts'

/** BuildKit's event model: what a build tells while it runs. Times are milliseconds of the Unix epoch. */
export type ProgressEvent = VertexEvent | StatusEvent | LogEvent | WarningEvent

/** A vertex became known, started, ended or was found in the cache; each event replaces the former of its `id`. */
export interface VertexEvent {
  readonly type: 'vertex'
  readonly id: string
  /** As people read it: `[stage 2/4] RUN npm ci`. */
  readonly name: string
  readonly inputs: readonly string[]
  readonly startedMs?: number
  readonly completedMs?: number
  readonly cached?: boolean
  readonly error?: string
  /** Canceled because something else failed, or the user stopped the build. */
  readonly canceled?: boolean
  /** The cache from elsewhere that it was found in. */
  readonly cacheOrigin?: string
  /** Why it was not found in the cache: which argument, file or input differs from the last time. */
  readonly missReason?: string
}

/** A part of a vertex's work that counts: a blob pulled, a layer packed, a push. */
export interface StatusEvent extends StatusProgress {
  readonly type: 'status'
  readonly vertex: string
  /** Unique within the vertex: `sha256:… pull`. */
  readonly id: string
  readonly text: string
}

/** How far such a part is; times as of a vertex. */
export interface StatusProgress {
  readonly current?: number
  readonly total?: number
  readonly startedMs?: number
  readonly completedMs?: number
}

export interface LogEvent {
  readonly type: 'log'
  readonly vertex: string
  readonly stream: 'stdout' | 'stderr'
  readonly data: Uint8Array
  readonly timestampMs: number
}

export interface WarningEvent {
  readonly type: 'warning'
  readonly vertex?: string
  readonly warning: BuildWarning
}

export interface BuildWarning {
  /** Name of the check (`JSONArgsRecommended`) or empty. */
  readonly rule: string
  readonly message: string
  readonly detail?: string
  readonly url?: string
  readonly location?: ErrorLocation
}

export type ProgressSink = (event: ProgressEvent) => void
