import type { BuildWarning } from '../../progress.ts'
import type { Edge } from '../../graph/types.ts'
import type { ContainerConfig, HistoryEntry, ImageConfig, Platform } from '../../oci/types.ts'

/** What lowering may ask of the world while it works: nothing else reaches outside. */
export interface LowerEnvironment {
  /**
   * The config of a base image; asked only for stages that the target reaches.
   * `reference` is canonical; the answer's `reference` carries the digest (`name:tag@sha256:…`).
   */
  resolveImageConfig(reference: string, platform: Platform): Promise<{ readonly reference: string; readonly digest: string; readonly config: ImageConfig }>
  /** Path → exists, for checks such as CopyIgnoredFile: patterns of the context's ignore file, undefined without one. */
  readonly ignorePatterns?: readonly string[]
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
  readonly networkMode: 'default' | 'none' | 'host'
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
  /** Paths of the context that anything reachable reads; undefined: nothing reads it. */
  readonly contextPaths?: readonly string[]
}
