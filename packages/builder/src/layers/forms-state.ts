import { join } from 'node:path'
import type { Executor, ExecutorOptions } from '@ts-oci/runtime'
import type { LayerRecord, Store } from '../store/types.ts'
import type { LayerEntry } from '../view/types.ts'
import type { LayerFetcher } from './fetch.ts'
import type { JobRunner } from '../disk/job-runner.ts'
import { missingForm } from './missing-form.ts'
import type { TableSink } from './table-sink.ts'
import type { LayerHandle } from './types.ts'

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
  /** Entries of layers that nobody has written yet, by layer id. */
  readonly selections: Map<string, readonly LayerEntry[]>
  /** Layers of which a tree will be needed: they are unpacked while they are fetched. By layer id. */
  readonly unpackers: Map<string, () => Promise<Unpacker>>
  /** Trees that this build wrote, by layer id: they count beyond this boot once they are synced. */
  readonly newTrees: Set<string>
  /** Runs work once for a key and keeps what it gave; a failure is not remembered. */
  once<T>(key: string, work: () => Promise<T>): Promise<T>
  /** Who asks for the same while it is under way gets the same; nothing is remembered. */
  shared<T>(key: string, work: () => Promise<T>): Promise<T>
  handleOf(
    record: Pick<LayerRecord, 'id' | 'createdMs' | 'description'>,
    more?: { readonly progressVertex?: string | undefined; readonly isBase?: boolean },
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

export function createFormsState(options: LayerFormsOptions): FormsState {
  const { store } = options
  const handles = new Map<string, LayerHandle>()
  const selections = new Map<string, readonly LayerEntry[]>()
  const pending = new Map<string, Promise<unknown>>()
  const underWay = new Map<string, Promise<unknown>>()

  const handleOf: FormsState['handleOf'] = (
    { id, createdMs, description },
    { progressVertex, isBase = false } = {},
  ) => {
    let handle = handles.get(id)
    if (handle === undefined) {
      store.lease(id)
      handle = { id, createdMs, description, progressVertex, isBase }
      handles.set(id, handle)
    }
    return handle
  }

  const forgetSelection = (layer: LayerHandle): void => {
    selections.delete(layer.id)
    pending.delete(`table ${layer.id}`)
  }

  return {
    ...options,
    selections,
    unpackers: new Map(),
    newTrees: new Set(),
    handleOf,
    once: <T>(key: string, work: () => Promise<T>): Promise<T> => {
      let promise = pending.get(key) as Promise<T> | undefined
      if (promise === undefined) {
        promise = work()
        pending.set(key, promise)
        promise.catch(() => pending.delete(key))
      }
      return promise
    },
    shared: <T>(key: string, work: () => Promise<T>): Promise<T> => {
      const known = underWay.get(key) as Promise<T> | undefined
      if (known !== undefined) return known
      const promise = work().finally(() => underWay.delete(key))
      underWay.set(key, promise)
      return promise
    },
    load: (id, progressVertex) => {
      const known = handles.get(id)
      if (known) return known
      store.lease(id)
      const record = store.layers.get(id)
      if (record === undefined) throw missingForm(id, `layer ${id} is not in the store`)
      // Layers that were pulled have their diffID as id; whatever a build made has one of its own.
      return handleOf(record, { progressVertex, isBase: record.id.startsWith('sha256:') })
    },
    record: (layer) => store.layers.get(layer.id),
    requireRecord: (layer) => {
      const record = store.layers.get(layer.id)
      if (record === undefined)
        throw missingForm(layer.id, `layer ${layer.id} (${layer.description}) is not in the store`)
      return record
    },
    put: (layer, forms) =>
      store.layers.put({
        id: layer.id,
        createdMs: layer.createdMs,
        description: layer.description,
        blobs: [],
        hasTar: false,
        hasTable: false,
        ...forms,
      }),
    forgetSelection,
    forgetTemporary: (layer) => {
      const temporary = join(store.root, 'tmp', '/')
      const isTemporary = selections
        .get(layer.id)
        ?.some(({ content }) =>
          (content?.kind === 'range' ? content.file : content?.kind === 'tree' ? content.root : '').startsWith(
            temporary,
          ),
        )
      if (isTemporary === true) forgetSelection(layer)
    },
  }
}
