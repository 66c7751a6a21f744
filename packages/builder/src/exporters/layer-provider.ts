import { createReadStream } from 'node:fs'
import type { Store } from '../store/types.ts'
import type { ExportLayer, LayerProvider, ProvidedLayer, WantedForm } from './types.ts'
import type { BaseImage } from '../image/lowered.ts'
import type { DiffID, Digest } from '../oci/digest.ts'
import { layerCompression, MediaType } from '../oci/media-types.ts'
import { parseReference, registryReference, repositoryOf } from '../oci/reference.ts'
import type { ImageLayer } from '../oci/types.ts'
import type { BlobWish, LayerFactory, LayerFiles, LayerHandle, LayerRecords } from '../layers/types.ts'

/** What outputs ask of layers. */
type OutputForms = LayerFiles & Pick<LayerRecords, 'record'> & Pick<LayerFactory, 'withTimesUpTo'>

export interface LayerProviderOptions {
  readonly store: Store
  readonly forms: OutputForms
  /** Bottom first. */
  readonly layers: readonly LayerHandle[]
  readonly base: BaseImage | undefined
}

/**
 * The layers of a finished chain as exporters read them. The build alone decides their bytes: layers of its base are those
 * that the base names, all others are its own. Whether they came from the cache, and what else the store holds of them,
 * decides nothing.
 */
export function createLayerProvider(options: LayerProviderOptions): LayerProvider {
  const { store, layers, base } = options
  let counted: number | undefined
  const isBase = (index: number): boolean => index < (counted ??= countBaseLayers(options))
  return {
    count: layers.length,
    layer: (index): ExportLayer => {
      const { id, createdMs, description } = layers[index]!
      return { id, createdMs, description, isBase: isBase(index) }
    },
    provide: async (index, form, signal) => {
      signal?.throwIfAborted()
      const layer = layers[index]!
      if (!isBase(index)) return provideOther(options, layer, form)
      // What never left this machine, or came to it as a plain tar, is packed like a layer of this build.
      const image = base!.layers[index]!
      const isLocalTar = base!.reference === undefined && image.descriptor.digest === (image.diffId as string)
      return isLocalTar
        ? provideOwn(options, layer, form)
        : provideNamed(options, layer, { image, reference: base!.reference }, form)
    },
    file: (digest) => ({ path: store.blobs.path(digest), isVerified: store.blobs.isFresh(digest) }),
    open: (digest, signal) =>
      createReadStream(store.blobs.path(digest), {
        highWaterMark: 1 << 20,
        ...(signal === undefined ? {} : { signal }),
      }),
  }
}

/** As BuildKit counts: a layer is of the base for as long as all below it are. */
function countBaseLayers({ forms, layers, base }: LayerProviderOptions): number {
  const firstOther = layers.findIndex((layer, index) => {
    const image = base?.layers[index]
    return image === undefined || forms.record(layer)?.diffId !== image.diffId
  })
  return firstOther < 0 ? layers.length : firstOther
}

/** A layer above the base: one of this build, or of another image that was merged into it. */
async function provideOther(
  options: LayerProviderOptions,
  layer: LayerHandle,
  form: WantedForm,
): Promise<ProvidedLayer> {
  const { forms } = options
  if (form.rewriteTimestampSec !== undefined)
    return provideOwn(options, await forms.withTimesUpTo(layer, form.rewriteTimestampSec), form)
  const image = layer.isForeign ? imageOf(options, layer) : undefined
  return image === undefined
    ? provideOwn(options, layer, form)
    : provideNamed(options, layer, { image, reference: undefined }, form)
}

function imageOf({ forms }: LayerProviderOptions, layer: LayerHandle): ImageLayer | undefined {
  const record = forms.record(layer)
  const pulled = record?.blobs.find((blob) => blob.origin === 'pulled')
  const descriptor = record?.remote?.descriptor ?? pulled?.descriptor
  return descriptor === undefined || record?.diffId === undefined ? undefined : { descriptor, diffId: record.diffId }
}

interface NamedLayer {
  readonly image: ImageLayer
  /** Where a registry has it, besides those that the store knows. */
  readonly reference: string | undefined
}

/** A layer as an image has it, unless another compression is forced. */
async function provideNamed(
  { store, forms }: LayerProviderOptions,
  layer: LayerHandle,
  { image, reference }: NamedLayer,
  form: WantedForm,
): Promise<ProvidedLayer> {
  const { diffId, descriptor } = image
  const references = forms.record(layer)?.remote?.references ?? []
  const inRegistries = references.flatMap((known) => registryReference(known) ?? [])
  const repositories = [...new Set(inRegistries.map((known) => repositoryOf(parseReference(known))))]
  if (isForcedAway(descriptor, form)) {
    await forms.tar(layer)
    return { ...(await compressed(forms, layer, { form, diffId })), repositories, isLocal: true }
  }
  if (form.descriptorOnly !== true) await forms.imageBlob(layer, image, reference)
  return { diffId, descriptor, repositories, isLocal: store.blobs.has(descriptor.digest) }
}

const CHUNKED = 'io.github.containers.zstd-chunked'

/** As BuildKit: a level alone is no reason to compress again what has the type that is asked for. */
function isForcedAway(descriptor: ImageLayer['descriptor'], { force, compression }: WantedForm): boolean {
  if (force !== true || compression === 'stored') return false
  const { mediaType, annotations = {} } = descriptor
  if (compression === 'estargz') return annotations['containerd.io/snapshot/stargz/toc.digest'] === undefined
  if (compression === 'zstd:chunked') return annotations[`${CHUNKED}.manifest-position`] === undefined
  return layerCompression(mediaType) !== compression
}

async function provideOwn(
  { forms }: LayerProviderOptions,
  layer: LayerHandle,
  form: WantedForm,
): Promise<ProvidedLayer> {
  const { diffId, sizeBytes } = await forms.tar(layer)
  if (form.compression === 'none' || form.compression === 'stored') {
    return {
      diffId,
      descriptor: { mediaType: MediaType.ociLayer, digest: diffId as string as Digest, size: sizeBytes },
      repositories: [],
      isLocal: true,
    }
  }
  return { ...(await compressed(forms, layer, { form, diffId })), repositories: [], isLocal: true }
}

/** A blob of one's own making; one with a table of contents may hold a tar of its own. */
async function compressed(
  forms: OutputForms,
  layer: LayerHandle,
  { form, diffId }: { readonly form: WantedForm; readonly diffId: DiffID },
): Promise<Pick<ProvidedLayer, 'diffId' | 'descriptor'>> {
  const descriptor = await forms.blob(layer, wish(form))
  const blob = forms.record(layer)?.blobs.find((one) => one.descriptor.digest === descriptor.digest)
  return { diffId: blob?.diffId ?? diffId, descriptor }
}

/** Of one's own making, whatever else is at hand. */
function wish({ compression, level }: WantedForm): BlobWish {
  return {
    compression: compression === 'stored' ? 'none' : compression,
    ...(level === undefined ? {} : { level }),
    force: true,
  }
}
