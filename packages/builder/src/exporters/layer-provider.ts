import { createReadStream } from 'node:fs'
import type { Store } from '../store/types.ts'
import type { ExportLayer, LayerProvider, ProvidedLayer, WantedForm } from './types.ts'
import type { Digest } from '../oci/digest.ts'
import { MediaType } from '../oci/media-types.ts'
import { parseReference, repositoryOf } from '../oci/reference.ts'
import { rewriteTimes } from '../layers/rewrite.ts'
import type { BlobWish, LayerForms, LayerHandle } from '../layers/types.ts'
import type { JobRunner } from '../disk/job-runner.ts'

/** The layers of a finished chain as exporters read them. */
export function createLayerProvider(options: {
  readonly store: Store
  readonly forms: LayerForms
  readonly jobs: JobRunner
  readonly layers: readonly LayerHandle[]
}): LayerProvider {
  const { store, layers } = options
  return {
    count: layers.length,
    layer: (index): ExportLayer => {
      const layer = layers[index]!
      return { id: layer.id, createdMs: layer.createdMs, description: layer.description, isBase: layer.isBase }
    },
    provide: async (index, form, signal) => {
      signal?.throwIfAborted()
      const layer = layers[index]!
      return layer.isBase ? provideBase(options, layer, form) : provideOwn(options, layer, form)
    },
    file: (digest) => ({ path: store.blobs.path(digest), isVerified: store.blobs.isFresh(digest) }),
    open: (digest, signal) =>
      createReadStream(store.blobs.path(digest), {
        highWaterMark: 1 << 20,
        ...(signal === undefined ? {} : { signal }),
      }),
  }
}

async function provideBase(
  options: { readonly store: Store; readonly forms: LayerForms },
  layer: LayerHandle,
  form: WantedForm,
): Promise<ProvidedLayer> {
  const { forms, store } = options
  const record = forms.record(layer)
  const repositories = [
    ...new Set((record?.remote?.references ?? []).map((reference) => repositoryOf(parseReference(reference)))),
  ]
  const known = record?.blobs[0]?.descriptor ?? record?.remote?.descriptor
  if (form.force && form.compression !== 'stored') {
    const { diffId } = await forms.tar(layer)
    return { diffId, descriptor: await forms.blob(layer, wish(form)), repositories, isLocal: true }
  }
  if (form.descriptorOnly && known !== undefined && record?.diffId !== undefined) {
    return { diffId: record.diffId, descriptor: known, repositories, isLocal: store.blobs.has(known.digest) }
  }
  // A base that was built here has no compressed blob of its own: it is made like a layer of this build.
  if (known === undefined) return provideOwn(options, layer, form)
  const descriptor = await forms.blob(layer, { compression: 'none', force: false })
  return { diffId: forms.record(layer)!.diffId!, descriptor, repositories, isLocal: true }
}

async function provideOwn(
  options: { readonly store: Store; readonly forms: LayerForms; readonly jobs?: JobRunner },
  layer: LayerHandle,
  form: WantedForm,
): Promise<ProvidedLayer> {
  const { forms } = options
  const target =
    form.rewriteTimestampSec === undefined || options.jobs === undefined
      ? layer
      : await rewriteTimes({ forms, layer, limitSec: form.rewriteTimestampSec })
  const { diffId, sizeBytes } = await forms.tar(target)
  if (form.compression === 'none' || form.compression === 'stored') {
    return {
      diffId,
      descriptor: { mediaType: MediaType.ociLayer, digest: diffId as string as Digest, size: sizeBytes },
      repositories: [],
      isLocal: true,
    }
  }
  return { diffId, descriptor: await forms.blob(target, wish(form)), repositories: [], isLocal: true }
}

function wish(form: WantedForm): BlobWish {
  const compression = form.compression === 'stored' ? 'none' : form.compression
  return { compression, ...(form.level === undefined ? {} : { level: form.level }), force: form.force ?? false }
}
