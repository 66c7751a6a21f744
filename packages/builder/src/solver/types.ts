import type { StatusProgress } from '../base/progress.ts'
import type { CacheMap } from '../cache/types.ts'
import type { LocalResult } from '../context/types.ts'
import type { Vertex } from '../graph/types.ts'
import type { LayerFiles, LayerHandle, LayerRecords, LayerTrees } from '../layers/types.ts'

/** What a vertex output is: a chain of layers (bottom first), or a build context that is read where it lies. */
export type Result = LayersResult | LocalResult

export interface LayersResult {
  readonly kind: 'layers'
  readonly layers: readonly LayerHandle[]
}

/** An op: how it is keyed and how it runs. The solver knows nothing else of it. */
export interface OpDriver {
  handles(vertex: Vertex): boolean
  cacheMap(vertex: Vertex): Promise<CacheMap> | CacheMap
  /**
   * Throws for a vertex that asks for a right which its build was not given. Asked of all of a target before anything is looked
   * for, so of what is cached too: BuildKit refuses them when it loads LLB. Absent: there is none to ask for.
   */
  admit?(vertex: Vertex): void
  /**
   * Rejects where this machine can run none of its kind. Asked before anything is fetched or written for it; absent: it can
   * run anywhere.
   */
  ready?(vertex: Vertex): Promise<unknown>
  /** Does the work; one result for each output. */
  run(vertex: Vertex, inputs: readonly Result[], run: RunContext): Promise<readonly Result[]>
  /** For each input: whether its layers become part of the output (`through`), are mounted (`tree`), or only read (`view`). */
  inputUse(vertex: Vertex): readonly InputUse[]
  /** A source's names in BuildKit's cache keys; absent for what is keyed by its op, and for what is found by content alone. */
  sharedKeys?(vertex: Vertex): Promise<readonly string[]>
  /** `regular`, `source.local`…: BuildKit's record types. */
  readonly recordType: string
}

export type InputUse = 'through' | 'tree' | 'view'

/** Which forms of the result somebody is known to need: they are made at once, while other work goes on. */
export interface Demand {
  tree: boolean
  tar: boolean
}

export interface RunContext {
  readonly signal: AbortSignal
  readonly demand: Readonly<Demand>
  /** Lends this vertex' turn to others while it waits for what they, or another build, hold. */
  whileWaiting<T>(wait: () => Promise<T>): Promise<T>
  log(stream: 'stdout' | 'stderr', data: Uint8Array): void
  status(id: string, text: string, progress: StatusProgress): void
}

/** What the solver asks of layers. */
export type SolverForms = Pick<LayerRecords, 'isPersistent'> &
  Pick<LayerTrees, 'forStep' | 'syncTrees'> &
  Pick<LayerFiles, 'tar'>

/**
 * Does the work of a key while no other build, of this process or another one, does that of the same key: a lock of a store
 * that several share.
 */
export type OneExecution = <T>(key: string, signal: AbortSignal, work: () => Promise<T>) => Promise<T>
