import type { Writable } from 'node:stream'
import type { Store } from '../store/types.ts'
import type { LoweredImage } from '../image/lowered.ts'
import type { LayerEntry, View } from '../view/types.ts'
import type { Compression } from '../oci/media-types.ts'
import type { DiffID, Digest } from '../oci/digest.ts'
import type { Descriptor, Platform } from '../oci/types.ts'

/** One `--output`: `type=oci,dest=app.tar` is `{ type: 'oci', attrs: { dest: 'app.tar' } }`. */
export interface OutputSpec {
  readonly type: string
  readonly attrs: Readonly<Record<string, string>>
}

/** A text is read as Go reads booleans. */
export type Flag = boolean | string

/** A member of the family: one kind of output. `Attributes`: what a program may say of it beside its type. */
export interface Exporter<Attributes = unknown> {
  /** Nobody sets it: it carries the type, which `OutputSpec` is made of. */
  readonly attributes?: Attributes
  /**
   * Checks every attribute before anything is built.
   * @throws OCI_OPTION_INVALID, OCI_OPTION_UNSUPPORTED naming the attribute
   */
  prepare(output: OutputSpec, defaults: ExportDefaults): PreparedExport
}

/** What the build as a whole says; an attribute of the output wins over it. */
export interface ExportDefaults {
  /** `-t`, canonical. */
  readonly names: readonly string[]
  /** SOURCE_DATE_EPOCH in seconds. */
  readonly sourceDateEpoch?: number | undefined
  /** The Dockerfile, which was not read yet, may set it. */
  readonly isEpochPending?: boolean
  /** `--annotation`: `KEY`, or what is annotated before it: `manifest-descriptor[linux/arm64]:KEY`. */
  readonly annotations?: Readonly<Record<string, string>>
  /** What the build is for; default: one. */
  readonly platforms?: readonly Platform[]
  /** Relative `dest` starts here. */
  readonly workingDirectory: string
  /** True when standard output is a terminal: binary outputs refuse it. */
  readonly isTerminal: boolean
}

/** An output whose attributes are known to be good. */
export interface PreparedExport {
  readonly type: string
  /** `exporting to oci image format`. */
  readonly name: string
  /**
   * What of the image it reads, so that the plan can make the right forms: `blobs` all layers as files of their own,
   * `pushed-blobs` only those that a registry lacks (a base that was not fetched need not be), `files` the merged file system,
   * `nothing` none of them: they stay as their steps left them.
   */
  readonly reads: 'blobs' | 'pushed-blobs' | 'files' | 'stored' | 'nothing'
  /** It will ask for layers as gzip of the default level, just as they are: large ones are compressed while they are packed. */
  readonly wantsGzip?: boolean
  /** Looks whether what it goes to is there, before anything is built. @throws what `run` would throw */
  check?(): Promise<void>
  /** It goes to standard output, which one output alone can have. */
  readonly isStdout?: boolean
  run(source: ExportSource, context: ExportContext): Promise<ExportResult>
}

/** What was built: an image for each platform, at least one, in the order in which they were asked for. */
export interface ExportSource {
  readonly images: readonly ExportImage[]
}

/** A finished image for one platform, its layers converted on demand. */
export interface ExportImage {
  readonly image: LoweredImage
  readonly layers: LayerProvider
  /** The merged file system; asked only by exporters whose `reads` is `files`. */
  view(): Promise<View>
  /** Bytes of a file of that view (a hard link's are those of the file it names); a piece is valid until the next one. */
  readFile(entry: LayerEntry, signal?: AbortSignal): AsyncIterable<Uint8Array>
  /** Inline cache metadata for the config. */
  readonly inlineCache?: unknown
}

/** The layers of an image, bottom first, counted from 0. */
export interface LayerProvider {
  readonly count: number
  /** What an image without any conversion knows of a layer. */
  layer(index: number): ExportLayer
  /** Makes sure that the layer exists in this form and says what it is. Media types are OCI's; annotations are those of the layer. */
  provide(index: number, form: WantedForm, signal?: AbortSignal): Promise<ProvidedLayer>
  /** Streams a blob that `provide` named; verified by whoever writes it down. */
  open(digest: Digest, signal?: AbortSignal): AsyncIterable<Uint8Array>
  /** The file of such a blob, to be copied without passing through this process. */
  file?(digest: Digest): BlobFile
}

export interface BlobFile {
  readonly path: string
  /** This process has made or fetched it and has seen its digest: it is not read again for that. */
  readonly isVerified: boolean
}

export interface ExportLayer {
  /** Of the layer row in the store. */
  readonly id: string
  /** When its content was made, milliseconds. */
  readonly createdMs: number
  /** For a history that has no entry for it. */
  readonly description: string
  /** Came with the base image: neither recompressed (unless forced) nor rewritten. */
  readonly isBase: boolean
}

/** In which form an exporter wants a layer. */
export interface WantedForm {
  /**
   * `stored`: as the store keeps it (a base's blob as it was pulled, an own layer as plain tar; nothing is compressed).
   * Else applies to layers that have no blob yet, and to all with `force`.
   */
  readonly compression: Compression | 'stored'
  /** gzip 0–9, zstd 0–22. */
  readonly level?: number
  readonly force?: boolean
  /** Every mtime above this is set to it (seconds); not for layers of the base. */
  readonly rewriteTimestampSec?: number
  /** The blob itself is not needed yet: a base that lies in a registry is not fetched. */
  readonly descriptorOnly?: boolean
}

export interface ProvidedLayer {
  readonly diffId: DiffID
  readonly descriptor: Descriptor
  /** Where it can be fetched or mounted from (`docker.io/library/debian`); empty for what was made here. */
  readonly repositories: readonly string[]
  /** True when `open` works without a registry. */
  readonly isLocal: boolean
}

export interface ExportContext {
  readonly store: Store
  readonly signal?: AbortSignal
  /** Where `dest=-` goes. */
  readonly stdout: Writable
  /** Milliseconds; the clock is passed in, so that tests and epochs are exact. */
  now(): number
  /** Parts of the export for the progress display; the same `id` again replaces the former. */
  report(part: ExportPart): void
  /** Sends an image to a registry; given by the composition root, so that exporters know nothing of HTTP. */
  readonly pushImage: PushImage
}

export interface ExportPart {
  /** `exporting manifest sha256:…`. */
  readonly id: string
  readonly current?: number
  readonly total?: number
  readonly isDone: boolean
}

export type PushImage = (request: PushRequest) => Promise<void>

export interface PushRequest {
  /** Canonical name with tag; with `byDigest` the repository alone counts. */
  readonly reference: string
  readonly byDigest: boolean
  /** Plain HTTP or unverified TLS is allowed for this registry. */
  readonly isInsecure: boolean
  /** What the name is to lead to: the manifest of the one image, or an index over several. */
  readonly root: PushDocument
  readonly images: readonly ImageToPush[]
  /** Of what an index names the manifests that the repository has already. */
  readonly present?: ReadonlySet<Digest> | undefined
  /** Layers may be in no store and no registry: their `open` has the bytes. */
  readonly opensLayers?: boolean
  readonly signal?: AbortSignal | undefined
}

export interface PushDocument {
  readonly bytes: Uint8Array
  readonly descriptor: Descriptor
}

/** The image of one platform. */
export interface ImageToPush {
  readonly manifest: PushDocument
  readonly config: PushDocument
  /** Bottom first. */
  readonly layers: readonly PushLayer[]
}

export interface PushLayer {
  readonly descriptor: Descriptor
  /** Repositories (canonical) that hold it: it is mounted from there when they are on the same registry. */
  readonly repositories: readonly string[]
  /** Asked only when the registry lacks the blob. */
  open(signal?: AbortSignal): AsyncIterable<Uint8Array>
}

/** What an output gave. */
export interface ExportResult {
  readonly type: string
  /** Absolute path of the file or directory; absent for registries, the store and standard output. */
  readonly dest?: string
  /** Of what the names lead to: the manifest, or the index over several. */
  readonly digest?: Digest
  readonly descriptor?: Descriptor
  /** What it wrote as images, one a platform, in the order of the source; absent for outputs of files. */
  readonly images?: readonly ExportedImage[]
  /** Canonical names that it was given. */
  readonly names: readonly string[]
}

export interface ExportedImage {
  readonly platform: Platform
  /** Of the manifest. */
  readonly digest: Digest
  readonly configDigest: Digest
}
