import type { Executor, ExecutorOptions } from '@ts-oci/runtime'
import type { JobRunner } from '../disk/job-runner.ts'
import type { LayerRecord, Store, TreeForm } from '../store/types.ts'
import type { LayerEntry } from '../view/types.ts'
import type { LayerFetcher } from './fetch.ts'
import type { TableSink } from './table-sink.ts'
import type { LayerHandle } from './types.ts'

/** A form that is made of another one. */
export type FormName = 'blob' | 'table' | 'tar' | 'tree'

/** What a form is made of: `remote` and `selection` are never made. */
export type SourceName = FormName | 'remote' | 'selection'

/** What a conversion gave, not recorded yet. */
export interface Made {
  readonly forms: Partial<LayerRecord>
  /** The layer's table, where it was read or written on the way. */
  readonly entries?: readonly LayerEntry[] | undefined
}

/**
 * One way from a form of a layer to another: a function of source and target that takes no lock, records nothing and asks
 * for no other form. What it needs besides is found by `prepare`, before the target is locked.
 */
export interface Conversion {
  readonly from: SourceName
  readonly to: FormName
  /** Of the ways that are open the cheapest is taken: about what a byte costs. */
  readonly cost: number
  /** What it made is synced at once: it is kept, whatever becomes of the build. */
  readonly isCostly?: boolean
  readonly applies?: (state: FormsState, layer: LayerHandle) => boolean
  /** Entries whose bytes can be read where they say. */
  readonly prepare?: (state: FormsState, layer: LayerHandle) => Promise<readonly LayerEntry[]>
  readonly convert: (state: FormsState, layer: LayerHandle, entries: readonly LayerEntry[]) => Promise<Made>
}

export interface LayerFormsOptions {
  readonly store: Store
  readonly jobs: JobRunner
  readonly executor: () => Promise<Executor>
  readonly fetcher: LayerFetcher
  readonly signal: AbortSignal
  /** As it was asked for: which trees the executor will be able to mount. */
  readonly isolation?: ExecutorOptions['isolation'] | undefined
  /** An output will ask for every layer as gzip of our own encoder: large ones are compressed while they are packed. */
  readonly compressesEarly?: () => boolean
}

/** Takes a layer's blob and unpacks it into a tree. */
export interface Unpacker extends AsyncDisposable {
  readonly sink: TableSink
  /** Puts the tree into its place, when all of it is known to be right. */
  keep(): Promise<void>
}

/** What the conversions of one build share: the layers that it knows, and the work that is under way. */
export interface FormsState extends LayerFormsOptions {
  /** Every way from one form to another; loaded when a form is missing: a build that is all cached converts nothing. */
  readonly conversions: () => Promise<readonly Conversion[]>
  /** Entries of layers that nobody has written yet, by layer id. */
  readonly selections: Map<string, readonly LayerEntry[]>
  /** Layers of which a tree will be needed: they are unpacked while they are fetched. By layer id. */
  readonly unpackers: Map<string, () => Promise<Unpacker | undefined>>
  /** Whether a row's tree is of the kind that this build mounts; for sure once its executor has started. */
  readonly canUse: (tree: TreeForm) => boolean
  /** Trees that this build wrote, by layer id: they count beyond this boot once they are synced. */
  readonly newTrees: Set<string>
  /**
   * Trees that this build found whole, by layer id. It has leased their layers, so nobody takes them away; to ask again for
   * each step would ask as often as the square of the steps.
   */
  readonly wholeTrees: Map<string, string>
  /** Runs work once for a key and keeps what it gave; a failure is not remembered. */
  once<T>(key: string, work: () => Promise<T>): Promise<T>
  /** Who asks for the same while it is under way gets the same; nothing is remembered. */
  shared<T>(key: string, work: () => Promise<T>): Promise<T>
  handleOf(
    record: Pick<LayerRecord, 'id' | 'createdMs' | 'description'>,
    more?: { readonly progressVertex?: string | undefined },
  ): LayerHandle
  /** @throws OCI_BLOB_NOT_FOUND */
  load(id: string, progressVertex?: string): LayerHandle
  record(layer: LayerHandle): LayerRecord | undefined
  /** @throws OCI_BLOB_NOT_FOUND */
  requireRecord(layer: LayerHandle): LayerRecord
  /** Adds forms to the row of a layer. */
  put(layer: LayerHandle, forms: Partial<LayerRecord>): void
  /** A stored form is there: from now on it is read, not what the entries named. */
  forgetSelection(layer: LayerHandle): void
  /** The same, if bytes lie in a directory that goes: of an unpacked archive or a checkout. */
  forgetTemporary(layer: LayerHandle): void
}

/** The layer came with an image: its bytes are those that its image names, never packed anew from a tree. */
export function isPulled(state: FormsState, layer: LayerHandle): boolean {
  const record = state.record(layer)
  return record !== undefined && (record.remote !== undefined || record.blobs.some((blob) => blob.origin === 'pulled'))
}
