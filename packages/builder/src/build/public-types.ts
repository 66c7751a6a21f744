import type { BuildWarning } from '../base/progress.ts'
import type { CacheType } from '../cache/backends/list.ts'
import type { OutputSpec, OutputType } from '../exporters/list.ts'
import type { Digest, DiffID } from '../oci/digest.ts'
import type { Descriptor, HistoryEntry, ImageConfig, ImageIndex, Platform } from '../oci/types.ts'
import type { IsolationMode, SnapshotName, StepResources } from '@ts-oci/runtime/families'
import type { NetworkMode } from '../graph/op-specs.ts'
import type { Amendments } from '../frontends/types.ts'
import type { GarbagePolicy } from '../store/types.ts'
import type { State } from '../frontends/state/types.ts'
import type { CommonOptions, RegistryOptions, StepOptions } from './session-types.ts'

export type {
  CommonOptions,
  RegistryOptions,
  Session,
  SessionOptions,
  StepOptions,
  StoreOptions,
} from './session-types.ts'

export interface BuildOptions extends CommonOptions, RegistryOptions, StepOptions {
  /** What is changed in the Dockerfile and in the image that comes of it. */
  readonly amend?: Amendments | undefined
  /** Ignore file in place of `.dockerignore` of a context that is a directory. */
  readonly ignoreFile?: string | undefined
  /** Directory, URL of a git repository or archive, or `-` with `stdin`. Needed unless `state` is given. */
  readonly context?: string | undefined
  /** Path of the Dockerfile, `-` for `stdin`; default `Dockerfile` in the context. */
  readonly file?: string | undefined
  /** The Dockerfile's text itself, instead of `file`. */
  readonly dockerfile?: string | undefined
  /** Bytes for a context or Dockerfile named `-`. */
  readonly stdin?: AsyncIterable<Uint8Array> | undefined
  /** A graph made with the fluent API, instead of a Dockerfile. */
  readonly state?: State | undefined

  readonly tags?: readonly string[] | undefined
  readonly target?: string | undefined
  readonly buildArgs?: Readonly<Record<string, string>> | undefined
  readonly labels?: Readonly<Record<string, string>> | undefined
  readonly annotations?: Readonly<Record<string, string>> | undefined
  /** `linux/amd64`; default: the host's. */
  readonly platform?: string | undefined
  /** Named contexts: name → directory, `docker-image://…`, `oci-layout://…`, git or http URL. */
  readonly buildContexts?: Readonly<Record<string, string>> | undefined
  readonly secrets?: readonly SecretSource[] | undefined
  readonly ssh?: readonly SshSource[] | undefined
  /** Caches from elsewhere that are asked for what the store does not have: `{ type: 'registry', ref: 'user/app:cache' }`. */
  readonly cacheFrom?: readonly CacheOption[] | undefined
  /** Where the cache of this build is written when it is built. */
  readonly cacheTo?: readonly CacheOption[] | undefined
  readonly noCache?: boolean | undefined
  readonly noCacheFilter?: readonly string[] | undefined
  /** Steps that run again for `noCache` find their cache mounts as they were; else those are emptied first. */
  readonly keepCacheMounts?: boolean | undefined
  /**
   * Which bases their registries are asked for. Default: those that only builds have fetched; what was pulled, tagged or
   * built is used as it is. `always` (or true): all of them; `missing`: those that the store lacks; `never`: none.
   */
  readonly pull?: boolean | 'always' | 'missing' | 'never' | undefined
  /** Of the steps that name none; `default` is the host's. */
  readonly network?: NetworkMode | undefined
  /** `name:address`. */
  readonly addHosts?: readonly string[] | undefined
  /** `network.host`, `security.insecure`, `device` or `device=VENDOR/CLASS=NAME[,alias=NAME]`. */
  readonly allow?: readonly string[] | undefined
  /** Where devices are described, instead of `/etc/cdi`, `/var/run/cdi` and `/etc/buildkit/cdi`; the last that has one decides. */
  readonly cdiSpecDirs?: readonly string[] | undefined
  readonly ulimits?: readonly string[] | undefined
  readonly shmSizeBytes?: number | undefined
  /** What each step may use of the machine; in no cache key. Where a limit cannot be set, steps are an error. */
  readonly resources?: BuildResources | undefined

  /** Default: an image in the store (named by `tags`, or known by its id only). */
  readonly outputs?: readonly OutputSpec[] | undefined
  /** Shorthand for `{ type: 'image', push: true }`. */
  readonly push?: boolean | undefined
  /**
   * By which rules the cache is tidied up after the build: `false`, or bounds as in
   * `reserved-space=10GB,max-used-space=80%,min-free-space=20%`. Default: `$TSBUILD_GC`, `gc.json`, BuildKit's.
   */
  readonly gc?: string | GarbagePolicy | undefined
  /** Seconds of the Unix epoch; default `$SOURCE_DATE_EPOCH`. */
  readonly sourceDateEpoch?: number | undefined
}

/** Without `memoryBytes` and the others a step has what the machine has. */
export type BuildResources = { readonly [Name in keyof StepResources]: StepResources[Name] | undefined }

export type { Amendments } from '../frontends/types.ts'

/** A place of a cache and its attributes, as on the command line. */
export interface CacheOption {
  readonly type: CacheType
  readonly [attribute: string]: string | boolean | undefined
}

export type CacheMountOptions = CommonOptions & RegistryOptions

/** A row of `tsbuild cache mounts ls`. Times are milliseconds of the Unix epoch. */
export interface CacheMountSummary {
  readonly id: string
  readonly sizeBytes: number
  readonly createdMs: number
  readonly usedMs: number
  readonly usageCount: number
  /** It never leaves the store: a step has it as `private`, or beside a secret. */
  readonly isKept: boolean
}

/** A cache mount in a cache elsewhere. */
export interface CarriedCacheMount {
  readonly id: string
  /** Of its tar, and of that packed. */
  readonly sizeBytes: number
  readonly packedBytes: number
  readonly usedMs: number
}

export type { OutputSpec, OutputType } from '../exporters/list.ts'

export interface SecretSource {
  readonly id: string
  readonly file?: string | undefined
  readonly env?: string | undefined
  readonly value?: string | Uint8Array | undefined
}

export interface SshSource {
  /** What `RUN --mount=type=ssh,id=…` asks for; `default` where it is empty. Each id once. */
  readonly id: string
  /** The socket of an agent, or private keys without a passphrase (RSA, ECDSA, Ed25519). Default: `$SSH_AUTH_SOCK`. */
  readonly paths?: readonly string[] | undefined
}

export interface BuildResult {
  /** Of the manifest, or of the index over several; undefined when nothing but files was exported. */
  readonly digest: Digest | undefined
  /** Of the first of `images`. */
  readonly configDigest: Digest | undefined
  /** Of the first of `images`. */
  readonly layers: BuiltImage['layers']
  /** One a platform, in the order in which they were asked for. */
  readonly images: readonly BuiltImage[]
  readonly outputs: readonly {
    readonly type: OutputType
    readonly dest?: string
    readonly names?: readonly string[]
    readonly digest?: Digest
  }[]
  /** Of the build graph, inputs before users. */
  readonly vertices: readonly VertexReport[]
  /** What is no vertex and took time: metadata of bases, outputs. In the order of their starts. */
  readonly internalSteps: readonly InternalStepReport[]
  /** Bytes of blobs that came from registries, and that went there. */
  readonly traffic: Traffic
  readonly warnings: readonly BuildWarning[]
  /** As `--metadata-file` writes it. */
  readonly metadata: BuildMetadata
}

export interface Traffic {
  readonly fetchedBytes: number
  readonly sentBytes: number
}

/** The keys of `docker buildx build --metadata-file`. */
export interface BuildMetadata {
  readonly 'containerimage.config.digest'?: Digest
  readonly 'containerimage.descriptor'?: Descriptor
  readonly 'containerimage.digest'?: Digest
  /** The names, separated by commas. */
  readonly 'image.name'?: string
}

export interface InternalStepReport {
  /** `exporting to image`. */
  readonly name: string
  /** Milliseconds of the Unix epoch. */
  readonly startedMs: number
  readonly durationMs: number
}

/** What was built for one platform. */
export interface BuiltImage {
  /** `linux/amd64`. */
  readonly platform: string
  /** Of its manifest; undefined when nothing but files was exported. */
  readonly digest: Digest | undefined
  readonly configDigest: Digest | undefined
  /** Bottom first. */
  readonly layers: readonly { readonly diffId: DiffID; readonly sizeBytes: number; readonly createdBy: string }[]
}

export interface VertexReport {
  readonly digest: Digest
  readonly name: string
  readonly status: 'cached' | 'ran' | 'failed' | 'canceled'
  /** Digests of the vertices whose results it reads. */
  readonly inputs: readonly Digest[]
  /** Milliseconds of the Unix epoch; of what was cached, when that was found. */
  readonly startedMs: number
  readonly durationMs: number
  /** The cache from elsewhere that it was found in: `user/app:cache`. */
  readonly cacheOrigin?: string
  /** Why it was not found in the cache, where that can be said. */
  readonly missReason?: string
}

export interface SummaryStep {
  readonly name: string
  readonly durationMs: number
}

/** What a build spent its time on. */
export interface BuildSummary extends Traffic {
  /** From the start of the first step to the end of the last. */
  readonly durationMs: number
  /** Of instructions; reading the build context is none. */
  readonly ranCount: number
  /** Names of the instructions that were in the cache. */
  readonly cached: readonly string[]
  /** Of those of them that a cache from elsewhere had, which one; absent where none did. */
  readonly cachedFrom?: Readonly<Record<string, string>>
  /** Of vertices and internal steps, at most five, the slowest first; what took less than 5 ms is left out. */
  readonly slowest: readonly SummaryStep[]
  /**
   * The chain of vertices that took longest, in their order, with the internal steps before and behind it: no build with
   * more processors ends before it does. What took less than 5 ms is left out.
   */
  readonly criticalPath: readonly SummaryStep[]
}

/** A row of `tsbuild images`. */
export interface ImageSummary {
  /** `my-app`, `localhost:5000/x`, `<none>`. */
  readonly repository: string
  readonly tag: string
  /** Config digest, `sha256:…`; of a name that leads to an index the digest of that. */
  readonly id: Digest
  /** Digest of the index, or of the manifest in the store, whose layers are plain where they were made here. */
  readonly digest: Digest
  /** Digests that registries have it under in `repository`, as pulls and pushes learnt; the newest last. */
  readonly repositoryDigests: readonly Digest[]
  /** Undefined where the image does not say. */
  readonly createdMs: number | undefined
  readonly sizeBytes: number
  /** Where they were asked for: the images that the name leads to, in the order of its index. */
  readonly platforms?: readonly ImagePlatform[]
  /** Where they were asked for. */
  readonly labels?: Readonly<Record<string, string>>
}

/** One image of those that a name leads to. */
export interface ImagePlatform {
  /** `linux/arm/v7`; `unknown` where neither index nor config say it. */
  readonly platform: string
  /** Of its manifest; of an image without an index its id. */
  readonly digest: Digest
  /** False where only the index knows it. */
  readonly isHere: boolean
  /** Manifest, config, and what the store has of its layers as files of one digest. */
  readonly contents: readonly { readonly digest: Digest; readonly sizeBytes: number }[]
  /** Bytes of the layers that lie unpacked, too. */
  readonly treeBytes: number
}

/** A row of `tsbuild history`, newest first. */
export interface HistoryRow {
  /** Config digest for the newest row, `<missing>` for the others. */
  readonly id: string
  readonly createdMs: number | undefined
  readonly createdBy: string
  readonly sizeBytes: number
  readonly comment: string
  readonly emptyLayer: boolean
}

/** What `docker inspect` prints of an image; members as Docker names them. */
export interface ImageInspection {
  readonly Id: string
  readonly RepoTags: readonly string[]
  readonly RepoDigests: readonly string[]
  readonly Parent: string
  readonly Comment: string
  readonly Created: string
  readonly DockerVersion: string
  readonly Author: string
  readonly Config: Readonly<Record<string, unknown>>
  readonly Architecture: string
  readonly Variant?: string
  readonly Os: string
  readonly Size: number
  readonly RootFS: { readonly Type: 'layers'; readonly Layers: readonly string[] }
  readonly Metadata: { readonly LastTagTime: string }
  readonly Descriptor: Readonly<Record<string, unknown>>
  readonly [other: string]: unknown
}

/** Which registry, and where its login is kept. */
export interface LogoutOptions extends RegistryOptions {
  /** A host, or a URL of one; default: Docker Hub. */
  readonly server?: string | undefined
  /** Of a logout: every registry. */
  readonly all?: boolean | undefined
  readonly signal?: AbortSignal | undefined
}

export interface LoginOptions extends Omit<LogoutOptions, 'all'> {
  readonly username: string
  readonly password: string
}

export interface LoginOutcome {
  /** The key of the registry in the file. */
  readonly server: string
  readonly file: string
  /** Name of the credential helper that keeps the secret; undefined: it stands in the file. */
  readonly helper: string | undefined
  /** The file holds a password in plain text. */
  readonly isUnencrypted: boolean
}

export interface LogoutOutcome {
  /** Keys whose logins were removed, or would have been. */
  readonly servers: readonly string[]
  /** Files and helpers where another program keeps a login for the registry. */
  readonly left: readonly string[]
}

export interface StoredLogin {
  readonly server: string
  /** Empty where only a token is known. */
  readonly username: string
  /** Asks the registry. @throws OCI_REGISTRY_UNAUTHORIZED, OCI_REGISTRY_UNREACHABLE */
  readonly check: () => Promise<void>
}

export interface PullOptions extends CommonOptions, RegistryOptions {
  /** Of an index the image of this platform; default: this machine's. Images of other platforms that are there stay. */
  readonly platform?: string | undefined
  /** Of an index all images, and what else it names. */
  readonly allPlatforms?: boolean | undefined
}

/** For calls about one image. */
export interface PlatformOptions extends CommonOptions {
  /** Of which image, where a name leads to several: `linux/arm64`; default: this machine's, else the first. */
  readonly platform?: string | undefined
}
export interface PullOutcome {
  readonly name: string
  readonly digest: Digest
  readonly configDigest: Digest
  /** False when the store had it already. */
  readonly isNew: boolean
  /** Set where the registry has one image alone, and that is of another platform than the wanted one. */
  readonly mismatch?: { readonly wanted: string; readonly actual: string } | undefined
}
export interface PushOptions extends CommonOptions, RegistryOptions {
  /** Name in the registry, where it is another than the image's; the store gets no such name. */
  readonly destination?: string | undefined
  /** The image of this platform alone, where a name leads to several; default: all of them, and their index. */
  readonly platform?: string | undefined
}
export interface PushOutcome {
  readonly name: string
  readonly digest: Digest
  readonly sizeBytes: number
}
/** For lists that are made step by step. */
export interface ManifestListOptions extends CommonOptions, RegistryOptions {
  /** Of an index all images; else it is refused. */
  readonly all?: boolean | undefined
}
/** A manifest as a registry has it, with what is known of it. */
export interface NamedManifest {
  readonly name: string
  readonly descriptor: Omit<Descriptor, 'platform'> & { readonly platform?: Platform | undefined }
  readonly bytes: Uint8Array
}
/** What is said of an image in a list, instead of what its config says. */
export interface ManifestAnnotations {
  readonly os?: string | undefined
  readonly architecture?: string | undefined
  readonly variant?: string | undefined
  readonly osVersion?: string | undefined
  readonly osFeatures?: readonly string[] | undefined
  readonly annotations?: Readonly<Record<string, string>> | undefined
}
/** The machine that builds. */
export interface BuilderNode {
  /** Directory of its store. */
  readonly store: string
  /** For which steps run, its own first: `linux/amd64`, `linux/amd64/v2`, … */
  readonly platforms: readonly string[]
}
export interface JoinOptions extends CommonOptions, RegistryOptions {
  /** Names that the index gets. */
  readonly tags?: readonly string[]
  /** What the first name leads to comes first. */
  readonly append?: boolean
  /** Sends nothing. */
  readonly isDryRun?: boolean
  /** `index:KEY` of the index, `manifest-descriptor[PLATFORM]:KEY` of entries. */
  readonly annotations?: Readonly<Record<string, string>>
  /** Only these. */
  readonly platforms?: readonly string[]
  /** Of a single image an index, too; default. */
  readonly preferIndex?: boolean
}
export interface JoinOutcome {
  readonly digest: Digest
  readonly bytes: Uint8Array
  readonly descriptor: Descriptor
  /** With tags and registries. */
  readonly names: readonly string[]
}
/** What a registry has under a name. */
export interface RemoteInspection {
  /** With tag and registry. */
  readonly name: string
  /** The document as it came. */
  readonly bytes: Uint8Array
  readonly descriptor: Descriptor
  /** Where it is one. */
  readonly index?: ImageIndex
  /** Configs by platform, where they were asked for. */
  readonly configs: Readonly<Record<string, Readonly<Record<string, unknown>>>>
}
export interface RemoveOptions extends CommonOptions {
  /** Also an id with several names. */
  readonly force?: boolean
  /** Of an index these images alone, with `force`: the name stays. */
  readonly platforms?: readonly string[]
}
export interface CheckStoreOptions extends CommonOptions {
  /** Drops what is damaged, and what cannot be without it. */
  readonly repair?: boolean | undefined
}

export interface StoreDamage {
  readonly kind: 'database' | 'blob' | 'tar' | 'table' | 'tree' | 'image' | 'record'
  /** Digest, id of a layer, directory, name of an image or of a step. */
  readonly name: string
  readonly problem: string
  /** Of a layer: the step that made it. */
  readonly of?: string
  readonly isRepaired: boolean
}

export interface StoreReport {
  readonly damages: readonly StoreDamage[]
  readonly checked: { readonly blobs: number; readonly layers: number; readonly images: number }
}

export interface PruneImagesOptions extends CommonOptions {
  /** Also images with names: all of them, since no container uses any. */
  readonly all?: boolean | undefined
  /** As Docker's: `until=24h` or a time, `label=NAME`, `label=NAME=VALUE`, `label!=…`; all have to fit. */
  readonly filters?: readonly string[] | undefined
}

export interface PruneImagesOutcome extends RemoveOutcome {
  readonly reclaimedBytes: number
}

export interface RemoveOutcome {
  /** `Untagged: x` and `Deleted: sha256:…`, in Docker's order. */
  readonly untagged: readonly string[]
  readonly deleted: readonly string[]
}
export type {
  GarbagePolicy,
  GarbageRule,
  PruneOptions,
  PruneResult as PruneOutcome,
  UsageRecord,
} from '../store/types.ts'

/** One way to isolate steps, tried on this machine. */
export interface IsolationReport {
  readonly mode: IsolationMode
  readonly isUsable: boolean
  /** Which user ids a step can have: all, those of a range that root takes for it, the user's subordinate ones, or a single one. */
  readonly ids: 'all' | 'shifted' | 'subordinate' | 'single' | undefined
  /** Why it does not work, or what does not work in it. */
  readonly reason: string | undefined
  readonly hint: string | undefined
  /** How the file systems of its steps are made of layers; undefined where it does not work. */
  readonly snapshots: SnapshotReport | undefined
}

/** The kind of snapshots that a build takes on the disk of the store, and why not the ones before it. */
export interface SnapshotReport {
  readonly kind: SnapshotName
  readonly passedOver: readonly { readonly kind: SnapshotName; readonly reason: string; readonly hint: string }[]
}

export interface MachineProblem {
  readonly reason: string
  readonly hint: string | undefined
}

/** What `tsbuild info` prints. */
export interface MachineReport {
  readonly platform: string
  readonly kernel: string
  readonly node: string
  readonly user: string
  readonly store: string
  readonly storeFreeBytes: number | undefined
  /** Why no build can use the store. */
  readonly storeProblem: MachineProblem | undefined
  readonly isolations: readonly IsolationReport[]
  /** The one that `auto` takes; undefined where that starts none, or one in which steps fail. */
  readonly isolation: IsolationReport['mode'] | undefined
  /** What a step gets that names no network; undefined where no step runs. */
  readonly network: NetworkReport | undefined
  /** What holds the process that unpacks layers, and what is missing. */
  readonly fileJobs: FileJobsReport
}

export interface NetworkReport {
  /** `nat`: one of the step's own, behind the machine's. `pasta`: one of its own, which that program leads outside. */
  readonly kind: 'nat' | 'pasta' | 'host' | 'none'
  /** Why it is the machine's, and what helps. */
  readonly reason: string | undefined
}

export interface FileJobsReport {
  /** Whether there is such a process; else this one does its work, as it is. */
  readonly isConfined: boolean
  /** Version of the kernel's Landlock, 0 for none. */
  readonly landlock: number
  readonly reason: string | undefined
}

export type { BuildWarning, HistoryEntry, ImageConfig }
