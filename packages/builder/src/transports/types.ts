import type { Writable } from 'node:stream'
import type { BlobFile, PushDocument } from '../exporters/types.ts'
import type { LayerForms } from '../layers/types.ts'
import type { Digest } from '../oci/digest.ts'
import type { Descriptor } from '../oci/types.ts'
import type { RegistryClient } from '../registry/index.ts'
import type { Store, TemporaryDirectory } from '../store/types.ts'

/** A manifest, an index or a config, with what names it. */
export type Document = PushDocument

/** Bytes of a place that a descriptor names. */
export interface TransportBlob {
  readonly descriptor: Descriptor
  /** From an offset on; verified by whoever writes it down. */
  open(signal?: AbortSignal, offset?: number): AsyncIterable<Uint8Array>
  /** Where it lies as a file of its own, whole. Asked when it is about to be read. */
  file?(): Promise<BlobFile | undefined>
  /** A file that nobody needs any more, its digest known: it may be moved away. */
  take?(): string | undefined
  /** Repositories (canonical) that hold it: on the same registry it is mounted from there. */
  readonly repositories: readonly string[]
  /** The same layer compressed, as its place would push it. Missing: whoever wants one compresses. */
  compressed?(): Promise<TransportBlob>
}

/** What one name of a place leads to. */
export interface SourceImage {
  readonly root: Document
  /** Canonical names; none where the place keeps none. */
  readonly names: readonly string[]
  /** Its manifest was made here, for a place that keeps none or for the store: no digest of it is known elsewhere. */
  readonly isMade: boolean
  /** A manifest, index or config that a document names; undefined where the place lacks it. */
  read(descriptor: Descriptor, signal?: AbortSignal): Promise<Uint8Array | undefined>
  /** Undefined where the place is known to lack it. */
  blob(descriptor: Descriptor): TransportBlob | undefined
}

/** A place that was opened to read from. */
export interface OpenedSource extends AsyncDisposable {
  readonly images: readonly SourceImage[]
}

/** An image, or several with their index, and everything that belongs to it. */
export interface Bundle {
  readonly root: Document
  readonly names: readonly string[]
  readonly isMade: boolean
  /** Manifests and indexes below the root, innermost first. */
  readonly children: readonly Document[]
  /** Of each manifest that is an image, in the order of their index. */
  readonly images: readonly BundleImage[]
  /** Configs and layers, each once; missing ones only below an index of which a place has a part. */
  readonly blobs: readonly TransportBlob[]
}

export interface BundleImage {
  readonly manifest: Document
  readonly config: Document
  /** Bottom first. */
  readonly layers: readonly Descriptor[]
}

/** What was written. */
export interface WrittenImage {
  /** Of what the name leads to. */
  readonly digest: Digest
  readonly sizeBytes: number
  /** Canonical. */
  readonly names: readonly string[]
}

/** What of a place an option is about. */
export interface PlaceOptions {
  readonly credentials?: { readonly username: string; readonly password: string } | undefined
  readonly authFile?: string | undefined
  /** Nobody's credentials are asked for. */
  readonly isAnonymous?: boolean | undefined
  /** False: plain HTTP and certificates that do not verify are allowed. */
  readonly isTlsVerified?: boolean | undefined
  /** URL of the daemon. */
  readonly daemonHost?: string | undefined
  /** Of a registry its host, which the others are about; filled in by its transport. */
  readonly registry?: string | undefined
}

/** What a transport may use. Everything is made at its first use: a copy between registries opens no store. */
export interface TransportContext {
  readonly signal: AbortSignal
  readonly stdin: () => AsyncIterable<Uint8Array>
  readonly stdout: () => Writable
  store(): Promise<Store>
  forms(): Promise<LayerForms>
  registry(options: PlaceOptions): Promise<RegistryClient>
  /** Removed at the end of the call. */
  temporaryDirectory(prefix: string): Promise<TemporaryDirectory>
  report(id: string, progress: { readonly current?: number; readonly total?: number; readonly isDone?: boolean }): void
}

/** A kind of place where images are. A member of the family is a folder or file, and a line of `list.ts`. */
export interface Transport {
  /** `rest` is what stands behind the name and its colon. @throws OCI_OPTION_INVALID where that is no place */
  open?(rest: string, options: PlaceOptions, context: TransportContext): Promise<OpenedSource>
  /** Checks the place before anything is read. */
  target?(rest: string, options: PlaceOptions, context: TransportContext): Promise<TransportTarget>
}

export interface TransportTarget {
  /** It takes an index with its images; else one image alone. */
  readonly takesIndex: boolean
  /** What came without a manifest is compressed for it, as for a registry. */
  readonly wantsCompressed: boolean
  /** Its readers need all layers compressed, or none. */
  readonly wantsUniform?: boolean
  /** Several bundles: where it takes several images at once. */
  write(bundles: readonly Bundle[]): Promise<readonly WrittenImage[]>
}
