import type { BuildWarning } from '../base/progress.ts'
import type { Edge } from '../graph/types.ts'
import type { ContainerConfig, HistoryEntry, ImageConfig, Platform } from '../oci/types.ts'
import type { NetworkMode, SourceSpec } from '../graph/op-specs.ts'

/** What lowering may ask of the world while it works: nothing else reaches outside. */
export interface LowerEnvironment {
  /**
   * The config of a base image; asked only for stages that the target reaches.
   * `reference` is canonical; the answer's `reference` carries the digest (`name:tag@sha256:…`).
   */
  resolveImageConfig(
    reference: string,
    platform: Platform,
  ): Promise<{ readonly reference: string; readonly digest: string; readonly config: ImageConfig }>
  /** Path → exists, for checks such as CopyIgnoredFile: patterns of the context's ignore file, undefined without one. */
  readonly ignorePatterns?: readonly string[]
  /** Patterns of the ignore file of a named local context, by its key. */
  ignorePatternsOf?(key: string): Promise<readonly string[] | undefined>
  /** As `resolveImageConfig`, of an image in an OCI layout: `reference` is `name@sha256:…` as the named context has it. */
  resolveLayoutConfig?(
    reference: string,
    platform: Platform,
  ): Promise<{ readonly digest: string; readonly config: ImageConfig }>
  /** When the content of a source was made, in seconds (commit time, Last-Modified): for a SOURCE_DATE_EPOCH that names a context or a stage. */
  resolveSourceEpoch?(source: SourceSpec): Promise<number | undefined>
}

export interface LowerOptions {
  readonly target?: string | undefined
  readonly buildArgs: ReadonlyMap<string, string>
  readonly labels: ReadonlyMap<string, string>
  readonly buildPlatform: Platform
  readonly targetPlatform: Platform
  /** Named contexts: `name` → `docker-image://…`, `local:<key>`, `oci-layout://…`, `git`/`http` URLs, `input:`. */
  readonly namedContexts: ReadonlyMap<string, string>
  readonly noCache: boolean
  /** Stages whose steps ignore the cache (`--no-cache-filter`). */
  readonly noCacheFilter: readonly string[]
  readonly pull: boolean
  readonly networkMode: NetworkMode
  readonly extraHosts: readonly { readonly host: string; readonly ip: string }[]
  readonly ulimits?: readonly { readonly name: string; readonly soft: number; readonly hard: number }[]
  readonly shmSizeBytes?: number
  readonly hostname?: string
  readonly cgroupParent?: string
  /** `local://<name>` of the main build context; source attrs (include patterns, follow paths) are added while lowering. */
  readonly contextName: string
  /** The main context is an edge instead (git or http context): COPY reads it. */
  readonly contextEdge?: Edge
  readonly cacheMountNamespace?: string
  readonly sourceDateEpoch?: number
  /** The user asked for `targetPlatform`: the image says it, whatever the base says. */
  readonly isPlatformRequested?: boolean
  /** Several platforms are built: names of vertices tell which. */
  readonly multiPlatform?: boolean
  /** Lower every stage, reachable or not, to find what is wrong with it; no vertices come out. */
  readonly allStages?: boolean
  /** Value of the build argument BUILDKIT_DOCKERFILE_CHECK, if it is not among `buildArgs`. */
  readonly checks?: string
}

/** A whole image before its layers are known. */
export interface LoweredImage {
  /** The final state; undefined when the image is empty (`FROM scratch` and nothing else). */
  readonly edge: Edge | undefined
  readonly platform: Platform
  /** Everything of the image config but `rootfs` and `created`. Base history first, `created` unset in the new entries. */
  readonly config: Omit<ImageConfig, 'rootfs' | 'created' | 'history' | 'config'> & { readonly config: ContainerConfig }
  readonly history: readonly HistoryEntry[]
  /** How many entries of `history` came with the base. */
  readonly baseHistoryLength: number
  readonly warnings: readonly BuildWarning[]
  /** Paths of the context that anything reachable reads, relative and sorted, `['.']` for all of it; undefined: nothing reads it. */
  readonly contextPaths?: readonly string[]
  /** SOURCE_DATE_EPOCH in seconds, where the build has one. */
  readonly sourceDateEpoch?: number
}
