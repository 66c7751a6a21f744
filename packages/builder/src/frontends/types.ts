import type { BuildWarning } from '../base/progress.ts'
import type { SourceFile } from '../base/source.ts'
import type { Edge } from '../graph/types.ts'
import type { StepResources } from '@ts-oci/runtime/families'
import type { NetworkMode, SourceSpec } from '../graph/op-specs.ts'
import type { BaseImage, LoweredImage } from '../image/lowered.ts'
import type { ImageConfig, Platform } from '../oci/types.ts'
import type { State } from './state/types.ts'

/** A member of the family: reads one kind of input, and says as a graph what is to be built. */
export interface Frontend {
  readonly name: string
  /** Whether this input is one of its own; of several the first of the list has it. */
  accepts(input: FrontendInput): boolean
  /** Reads the input as far as that needs nobody else. @throws BuilderError with the place of what cannot be read */
  read(input: FrontendInput): Promise<Recipe>
}

/** What a build is given to read. */
export interface FrontendInput {
  /** A text, and the name under which messages speak of it. */
  readonly file?: { readonly name: string; readonly text: string } | undefined
  /** A value of the fluent API. */
  readonly state?: State | undefined
}

/** An input that was read. Nothing in it is lowered yet: that needs the configs of base images. */
export interface Recipe {
  /** The text in which errors have their places, where it is another one than the file of the input. */
  readonly source?: SourceFile
  /**
   * One image for each platform, in the order of `options.platforms`. Called again when a base turned out to be another
   * one, with a new environment.
   * @throws BuilderError with the place in the input
   */
  lower(options: FrontendOptions, environment: LowerEnvironment): Promise<readonly LoweredImage[]>
  /** Warnings about an input that could not be lowered: one of them may be the reason. */
  warnings?(options: FrontendOptions, environment: LowerEnvironment): Promise<readonly BuildWarning[]>
}

/** What a build says to its frontend. */
export interface FrontendOptions extends Omit<LowerOptions, 'targetPlatform' | 'multiPlatform' | 'allStages'> {
  /** At least one. */
  readonly platforms: readonly Platform[]
}

/** What is known of an image before anything of it is fetched. */
export interface ResolvedConfig {
  readonly digest: string
  readonly config: ImageConfig
  /** Its layers, for a build with outputs. */
  readonly base?: BaseImage
}

/** What lowering may ask of the world while it works: nothing else reaches outside. */
export interface LowerEnvironment {
  /**
   * The config of a base image; asked only for stages that the target reaches.
   * `reference` is canonical; the answer's `reference` carries the digest (`name:tag@sha256:…`).
   */
  resolveImageConfig(reference: string, platform: Platform): Promise<ResolvedConfig & { readonly reference: string }>
  /** Path → exists, for checks such as CopyIgnoredFile: patterns of the context's ignore file, undefined without one. */
  readonly ignorePatterns?: readonly string[]
  /** Patterns of the ignore file of a named local context, by its key. */
  ignorePatternsOf?(key: string): Promise<readonly string[] | undefined>
  /** As `resolveImageConfig`, of an image in an OCI layout: `reference` is `name@sha256:…` as the named context has it. */
  resolveLayoutConfig?(reference: string, platform: Platform): Promise<ResolvedConfig>
  /**
   * Name (`local://NAME`) of a directory of this machine that the input itself names, and what is left out of it; equal ones
   * have one name. Without patterns the directory's own ignore file is read.
   */
  openDirectory?(directory: string, ignorePatterns: readonly string[] | undefined): OpenedDirectory
  /** When the content of a source was made, in seconds (commit time, Last-Modified): for a SOURCE_DATE_EPOCH that names a context or a stage. */
  resolveSourceEpoch?(source: SourceSpec): Promise<number | undefined>
}

export interface OpenedDirectory {
  readonly name: string
  readonly ignorePatterns: readonly string[]
}

/** What a build changes in its Dockerfile and in the image that comes of it, as buildah's flags of these names do. */
export interface Amendments {
  /** The image or stage of the first FROM. */
  readonly from?: string | undefined
  /** Set behind every FROM; in the image as well. */
  readonly env?: Readonly<Record<string, string>> | undefined
  /** Of every RUN, as its `--mount`: `type=tmpfs,target=/var/cache`. */
  readonly mounts?: readonly string[] | undefined
  /** Names of variables that the image has not. */
  readonly unsetEnv?: readonly string[] | undefined
  readonly unsetLabels?: readonly string[] | undefined
  /** False: no labels of bases and of stages before. */
  readonly inheritLabels?: boolean | undefined
  /** One layer in place of those that the build makes, on those of the base; or of all. */
  readonly squash?: 'new' | 'all' | undefined
  /** The image says nothing of how it was made. */
  readonly omitHistory?: boolean | undefined
}

export interface LowerOptions {
  readonly amend?: Amendments
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
  /** Of each step. */
  readonly resources?: StepResources
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
