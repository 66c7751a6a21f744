import type { LayerEntry } from '../view/types.ts'
import type { DiffID, Digest } from '../oci/digest.ts'
import { MediaType } from '../oci/media-types.ts'
import type { Descriptor } from '../oci/types.ts'
import { isPulled, type Conversion, type Made, type FormsState } from './conversion.ts'
import { resolveContents } from './contents.ts'
import { tableOf } from './form-of.ts'

/** entries that nobody has written yet → tar. */
export const packSelection: Pick<Conversion, 'prepare' | 'convert'> = {
  prepare: (state, layer) => resolveContents(state, state.selections.get(layer.id) ?? [], layer.id),
  convert: (state, _layer, entries) => pack(state, entries),
}

/** A tree that a step wrote → tar. */
export const packTree: Pick<Conversion, 'applies' | 'prepare' | 'convert'> = {
  applies: (state, layer) => !isPulled(state, layer),
  prepare: async (state, layer) => resolveContents(state, (await tableOf(state, layer)).entries, layer.id),
  convert: async (state, _layer, entries) => {
    const { forms, entries: packed } = await pack(state, entries)
    // Nothing to be read of the tar: the table that the step left says all of it.
    return entries.some(({ content }) => content !== undefined) ? { forms, entries: packed } : { forms }
  },
}

/** A tar of no entries: its end alone. */
const EMPTY_TAR = Buffer.alloc(1024)

async function pack(state: FormsState, entries: readonly LayerEntry[]): Promise<Made> {
  const { store, jobs } = state
  if (entries.every(({ isTimeOnly }) => isTimeOnly === true)) {
    const diffId = store.blobs.put(EMPTY_TAR) as string as DiffID
    return { entries, forms: { diffId, tarSizeBytes: EMPTY_TAR.length, hasTar: true } }
  }
  await using temporary = await store.createTemporaryDirectory('pack')
  const destination = `${temporary.path}/layer.tar`
  const packing = jobs.run(
    'pack',
    { entries, destination },
    entries.some((entry) => entry.content?.kind === 'tree'),
  )
  const compressing = compressEarly(state, entries, destination, packing)
  // Both are over before the directory goes.
  await Promise.allSettled([packing, compressing])
  const [packed, blob] = [await packing, await compressing]
  store.blobs.adopt(destination, packed.diffId as string as Digest)
  if (blob) store.blobs.adopt(blob.path, blob.descriptor.digest)
  const blobs = blob === undefined ? [] : [{ descriptor: blob.descriptor, origin: blob.origin }]
  return {
    entries: packed.entries,
    forms: { diffId: packed.diffId, tarSizeBytes: packed.sizeBytes, hasTar: true, blobs },
  }
}

interface EarlyBlob {
  readonly path: string
  readonly descriptor: Descriptor
  readonly origin: string
}

/** The gzip of a tar that is being packed, where that is done in a thread: then this one has the time. */
async function compressEarly(
  state: FormsState,
  entries: readonly LayerEntry[],
  tar: string,
  packing: Promise<unknown>,
): Promise<EarlyBlob | undefined> {
  if (state.compressesEarly?.() !== true) return undefined
  const { isLargeJob } = await import('../disk/job-weight.ts')
  if (!isLargeJob('pack', { entries })) return undefined
  const { compressFile, compressorId } = await import('../tar/compression.ts')
  const path = `${tar}.gz`
  const { digest, sizeBytes } = await compressFile({
    source: tar,
    destination: path,
    compression: 'gzip',
    signal: state.signal,
    growing: packing,
  })
  return {
    path,
    descriptor: { mediaType: MediaType.ociLayerGzip, digest, size: sizeBytes },
    origin: compressorId('gzip'),
  }
}
