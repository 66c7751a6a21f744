import type { LayerRecord, Store } from '../store/types.ts'
import type { LayerEntry } from '../view/types.ts'
import { isCacheReference } from '../oci/reference.ts'
import type { Descriptor } from '../oci/types.ts'
import { missingForm } from './missing-form.ts'
import type { TableSink } from './table-sink.ts'

/** Brings a blob from a registry into the store; `onChunk` sees its bytes as they come. False: it was there already. */
export type LayerFetcher = (request: {
  readonly descriptor: Descriptor
  readonly references: readonly string[]
  readonly progressVertex: string | undefined
  readonly signal: AbortSignal
  readonly onChunk?: (chunk: Uint8Array) => void | Promise<void>
  /** The blob is there: what it holds is looked at, and who sent another layer than was promised has failed to send it. */
  readonly onEnd?: (wasFetched: boolean) => Promise<void>
}) => Promise<boolean>

export interface FetchParts {
  readonly fetcher: LayerFetcher
  readonly store: Store
  readonly signal: AbortSignal
}

export interface LayerToFetch {
  readonly record: LayerRecord
  readonly progressVertex: string | undefined
  /** Default: a sink that makes the table and nothing else. */
  readonly openSink?: (() => TableSink) | undefined
}

/** Fetches the blob of a layer; its table is made while the bytes come, by a sink that may make more of them. */
export async function fetchLayer(
  { fetcher, store, signal }: FetchParts,
  { record, progressVertex, openSink }: LayerToFetch,
): Promise<{ readonly descriptor: Descriptor; readonly entries: readonly LayerEntry[] | undefined }> {
  const { remote } = record
  if (remote === undefined) {
    throw missingForm(
      record.id,
      `no blob of layer ${record.id} (${record.description}) is in the store, and no registry is known to have it`,
      'pull its image, or build with --no-cache',
    )
  }
  const { descriptor, references } = remote
  const fetch: LayerFetcher = (wanted) =>
    fetcher(wanted).catch((error: unknown) => lost({ store, signal }, record, error))
  const request = { descriptor, references, progressVertex, signal }
  if (record.hasTable && openSink === undefined) {
    await fetch(request)
    return { descriptor, entries: undefined }
  }
  const { createTableSink } = await import('./table-sink.ts')
  const sink = openSink?.() ?? createTableSink()
  let entries: readonly LayerEntry[] | undefined
  const onEnd = async (wasFetched: boolean): Promise<void> => {
    if (wasFetched) {
      entries = await sink.finish(record.diffId)
      return
    }
    const { scanBlob } = await import('./inflate.ts')
    const blobPath = store.blobs.path(descriptor.digest)
    entries = await scanBlob({ blobPath, expectedDiffId: record.diffId, sink, signal })
  }
  let isFetching = true
  try {
    const wasFetched = await fetch({
      ...request,
      onChunk: (chunk) => sink.write(chunk),
      onEnd: (isNew) => {
        isFetching = false
        return onEnd(isNew)
      },
    })
    // Who only brings bytes does not ask.
    if (isFetching) await onEnd(wasFetched)
  } catch (error) {
    if (isFetching) await sink.stop()
    throw error
  }
  return { descriptor, entries }
}

/**
 * A cache that does not have a layer any more, or has another one, is none: the row forgets it, and who made the layer makes
 * it again. What an image names has to be had.
 */
function lost({ store, signal }: Pick<FetchParts, 'store' | 'signal'>, record: LayerRecord, error: unknown): never {
  const { remote, ...rest } = record
  const kept = remote?.references.filter((reference) => !isCacheReference(reference)) ?? []
  if (remote === undefined || kept.length === remote.references.length || signal.aborted) throw error
  store.layers.replace(kept.length === 0 ? rest : { ...rest, remote: { ...remote, references: kept } })
  const reason = error instanceof Error ? error.message : String(error)
  throw missingForm(record.id, `layer ${record.id} of a cache could not be had: ${reason}`)
}
