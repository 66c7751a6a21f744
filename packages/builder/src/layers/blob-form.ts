import { isTsOciError } from '../base/errors.ts'
import type { Digest } from '../oci/digest.ts'
import type { Conversion, FormsState } from './conversion.ts'
import { unlessOfTheStep } from './ahead.ts'
import { findBlob, findTar } from './at-hand.ts'
import { fetchLayer } from './fetch.ts'
import { missingForm } from './missing-form.ts'
import type { LayerHandle } from './types.ts'

/** registry → blob; its table is made while the bytes come, and its tree where one will be needed. */
export const fetchBlob: Pick<Conversion, 'convert' | 'isCostly'> = {
  isCostly: true,
  convert: async (state, layer) => {
    for (;;) {
      try {
        return await fetchOnce(state, layer)
      } catch (error) {
        // A mirror that altered a blob is not asked again: what was made of its bytes goes, and the next source is tried.
        if (!isTsOciError(error) || error.details['isOfMirror'] !== true || state.signal.aborted) throw error
      }
    }
  },
}

async function fetchOnce(state: FormsState, layer: LayerHandle): ReturnType<Conversion['convert']> {
  // Only the unpacking needs what a step does.
  await using unpacker = await state.unpackers.get(layer.id)?.().catch(unlessOfTheStep)
  const { descriptor, entries } = await fetchLayer(state, {
    record: state.requireRecord(layer),
    progressVertex: layer.progressVertex,
    openSink: unpacker && (() => unpacker.sink),
  })
  await unpacker?.keep()
  // A layer that is not compressed in the registry is its own plain tar.
  const isPlain = descriptor.digest === layer.id
  return {
    entries,
    forms: {
      blobs: [{ descriptor, origin: 'pulled' }],
      ...(isPlain ? { hasTar: true, tarSizeBytes: descriptor.size } : {}),
    },
  }
}

/** blob → plain tar and table. */
export const inflateBlob: Pick<Conversion, 'convert'> = {
  convert: async (state, layer) => {
    const blob = findBlob(state, layer)
    if (blob === undefined) throw missingForm(layer.id, `the blob of layer ${layer.id} is not in the store`)
    const { inflateLayer } = await import('./inflate.ts')
    const { diffId } = state.requireRecord(layer)
    const inflated = await inflateLayer({
      store: state.store,
      blobPath: blob.path,
      expectedDiffId: diffId,
      signal: state.signal,
    })
    return {
      entries: inflated.entries,
      forms: { diffId: inflated.diffId, tarSizeBytes: inflated.sizeBytes, hasTar: true },
    }
  },
}

/** A plain tar that came without a table → table. */
export const scanTar: Pick<Conversion, 'convert'> = {
  convert: async (state, layer) => {
    const tar = findTar(state, layer)
    if (tar === undefined) throw missingForm(layer.id, `the tar of layer ${layer.id} is not in the store`)
    const [{ scanBlob }, { createTableSink }] = await Promise.all([import('./inflate.ts'), import('./table-sink.ts')])
    const entries = await scanBlob({
      blobPath: state.store.blobs.path(tar.diffId as string as Digest),
      expectedDiffId: tar.diffId,
      sink: createTableSink(),
      signal: state.signal,
    })
    return { entries, forms: {} }
  },
}
