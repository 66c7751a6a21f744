import type { View } from '../view/types.ts'
import type { Digest } from '../oci/digest.ts'
import type { Vertex } from '../graph/types.ts'
import type { LayerHandle } from '../layers/types.ts'

/** What a vertex output is: a chain of layers (bottom first), or a build context that is read where it lies. */
export type Result = LayersResult | LocalResult

export interface LayersResult {
  readonly kind: 'layers'
  readonly layers: readonly LayerHandle[]
}

export interface LocalResult {
  readonly kind: 'local'
  readonly view: View
  /** Digest over paths of the view; never over times. */
  digestPaths(paths: readonly ContentSelector[]): Promise<Digest>
  /** A mark for each path, to tell later which of them changed; undefined when there are too many. */
  describePaths?(paths: readonly ContentSelector[]): Promise<Readonly<Record<string, string>> | undefined>
}

/** Paths of an input whose content decides: a literal path, or what a wildcard and the patterns leave of it. */
export interface ContentSelector {
  readonly path: string
  readonly followLast: boolean
  readonly allowWildcard: boolean
  readonly includePatterns: readonly string[]
  readonly excludePatterns: readonly string[]
}

/** How one vertex is keyed. */
export interface CacheMap {
  /** What is hashed for the op itself; canonical JSON. Kept as the key's preimage. */
  readonly payload: unknown
  /** For each input: which paths of it decide, for a second try by content; undefined: only its key counts. */
  readonly selectors: readonly (readonly ContentSelector[] | undefined)[]
  /** The whole key by itself (an image's chainID, a git commit): inputs and payload do not count. */
  readonly identity?: string
  /** With `identity`: the work costs nothing that a record would save (an image's layers are rows already); no record is kept. */
  readonly isUnrecorded?: boolean
  /** With `isUnrecorded`: all of it is in the store already. */
  readonly isPresent?: boolean
  /** Never found by its definition: only by the content that others read of it (local sources). */
  readonly neverByDefinition?: boolean
}

/** An op: how it is keyed and how it runs. The solver knows nothing else of it. */
export interface OpDriver {
  handles(vertex: Vertex): boolean
  cacheMap(vertex: Vertex): Promise<CacheMap> | CacheMap
  /** Does the work; one result for each output. */
  run(vertex: Vertex, inputs: readonly Result[], run: RunContext): Promise<readonly Result[]>
  /** For each input: whether its layers become part of the output (`through`), are mounted (`tree`), or only read (`view`). */
  inputUse(vertex: Vertex): readonly InputUse[]
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
  status(
    id: string,
    text: string,
    progress: {
      readonly current?: number
      readonly total?: number
      readonly startedMs?: number
      readonly completedMs?: number
    },
  ): void
}
