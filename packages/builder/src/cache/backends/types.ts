import type { RegistryClient } from '../../registry/client.ts'
import type { Digest } from '../../oci/digest.ts'
import type { Descriptor, ImageLayer } from '../../oci/types.ts'
import type { MountBounds } from '../carried-mounts.ts'
import type { CacheConfig, ConfigRecord } from '../buildkit/config.ts'

/** One `--cache-from` or `--cache-to`: a type and its attributes, as on the command line. */
export interface CacheSpec {
  readonly type: string
  readonly attrs: Readonly<Record<string, string>>
}

/**
 * A member of the family: a place where caches lie. What it cannot do it leaves out; attributes are checked before anything
 * is built. @throws OCI_OPTION_INVALID, OCI_OPTION_UNSUPPORTED naming the attribute
 */
export interface CacheBackend {
  prepareImport?(spec: CacheSpec): PreparedImport
  prepareExport?(spec: CacheSpec): PreparedCacheExport
}

export interface PreparedImport {
  /** `importing cache manifest from user/app:cache`. */
  readonly name: string
  /** How long it may take to load; default 30 s. */
  readonly patienceMs?: number
  /** What is there: manifest and config alone. Nothing there is no error, and no cache. */
  load(context: ImportContext): Promise<readonly ImportedCache[]>
  /** Where references to its layers are not to a registry: how a blob is read. */
  readonly blobs?: CacheBlobs
  /** What of its cache mounts is taken; undefined: none. For no backend to say. */
  readonly mounts?: MountBounds | undefined
}

export interface ImportContext {
  registry(): Promise<RegistryClient>
  readonly signal: AbortSignal
}

/** One cache: records, and where the layers of their results lie. */
export interface ImportedCache {
  readonly records: readonly ConfigRecord[]
  /** By their index in the results; undefined: what is not known well enough to be fetched. */
  readonly layers: readonly (CachedLayer | undefined)[]
  /** `cache+registry://host/repository`: kept with the layer, to fetch it when somebody needs it. */
  readonly reference: string
  /** Of several results that of the lowest rank is taken, whatever its age; default 0. */
  readonly rank?: number
}

export interface CachedLayer extends ImageLayer {
  readonly createdMs: number
}

/** Reads blobs that lie in no registry. */
export interface CacheBlobs {
  /** Beginning of the references that it reads. */
  readonly scheme: string
  open(reference: string, descriptor: Descriptor, signal: AbortSignal): AsyncIterable<Uint8Array>
}

/** An export whose attributes are known to be good. */
export interface PreparedCacheExport {
  /** `exporting cache to registry`. */
  readonly name: string
  /** `min`: results of what the image is made of; `max`: of every step. */
  readonly mode: 'min' | 'max'
  /** Goes into the config of the image itself; `write` is not called. */
  readonly isInline?: boolean
  /** A failure is a warning. */
  readonly ignoresErrors: boolean
  readonly compression: LayerWish
  /** Which cache mounts go with it; undefined: none. For no backend to say. */
  readonly mounts?: MountBounds | undefined
  write?(cache: CacheToWrite, context: CacheExportContext): Promise<void>
}

export interface LayerWish {
  readonly compression: 'gzip' | 'zstd' | 'uncompressed'
  readonly level?: number
  readonly force: boolean
}

/** A cache with its layers. */
export interface CacheToWrite {
  readonly config: CacheConfig
  /** Of the blobs that the config names. */
  readonly layers: ReadonlyMap<Digest, CacheLayerToWrite>
}

export interface CacheLayerToWrite {
  /** With `containerd.io/uncompressed` and `buildkit/createdat`. */
  readonly descriptor: Descriptor
  /** Repositories (canonical) that hold it. */
  readonly repositories: readonly string[]
  /** Asked only when the target lacks the blob. */
  open(signal?: AbortSignal): AsyncIterable<Uint8Array>
}

export interface CacheExportContext {
  readonly signal: AbortSignal
  report(id: string, progress?: { readonly current?: number; readonly total?: number; readonly isDone?: boolean }): void
  /** Sends a manifest, its config and its layers to a registry. */
  push(request: {
    readonly reference: string
    readonly isInsecure: boolean
    readonly manifest: { readonly descriptor: Descriptor; readonly bytes: Uint8Array }
    readonly config: { readonly descriptor: Descriptor; readonly bytes: Uint8Array }
    readonly layers: readonly CacheLayerToWrite[]
  }): Promise<void>
}
