import type { LayerRecord } from '../store/types.ts'
import type { Descriptor, ImageLayer } from '../oci/types.ts'
import type { FormsState } from './conversion.ts'
import { fetchLayer } from './fetch.ts'
import { ensureForm, makeOnce } from './resolver.ts'
import type { LayerHandle } from './types.ts'

/** Notes how an image has a layer, where that was not known; nothing is fetched. */
export function noteBlob(
  state: FormsState,
  layer: LayerHandle,
  { descriptor, diffId }: ImageLayer,
  reference: string | undefined,
): void {
  const { store } = state
  const known = state.record(layer)
  const isPlain = descriptor.digest === (diffId as string)
  const isHere = store.blobs.has(descriptor.digest)
  if (known !== undefined && isNamed(known, reference) && isKnown(known, descriptor, isPlain)) return
  state.put(layer, {
    diffId,
    ...(reference === undefined ? {} : { remote: { descriptor, references: [reference] } }),
    blobs: isHere && !isPlain ? [{ descriptor, origin: 'pulled' }] : [],
    ...(isHere && isPlain ? { hasTar: true, tarSizeBytes: descriptor.size } : {}),
  })
}

// The name of this build is asked first: what an earlier one named may be gone, or serve damaged bytes.
function isNamed({ remote, blobs }: LayerRecord, reference: string | undefined): boolean {
  return (
    reference === undefined ||
    remote?.references[0] === reference ||
    (blobs.length > 0 && remote?.references.includes(reference) === true)
  )
}

function isKnown({ hasTar, blobs, remote }: LayerRecord, { digest }: Descriptor, isPlain: boolean): boolean {
  return (
    remote?.descriptor.digest === digest ||
    (isPlain ? hasTar : blobs.some(({ descriptor }) => descriptor.digest === digest))
  )
}

/** The very blob that an image names: of two images that share a layer each may have compressed it in its own way. */
export async function imageBlob(
  state: FormsState,
  layer: LayerHandle,
  image: ImageLayer,
  reference: string | undefined,
): Promise<Descriptor> {
  const { store } = state
  const { descriptor, diffId } = image
  const find = (): Descriptor | undefined => (store.blobs.has(descriptor.digest) ? descriptor : undefined)
  const known = state.record(layer)
  if (known !== undefined && !isKnown(known, descriptor, descriptor.digest === (diffId as string)))
    noteBlob(state, layer, image, reference)
  if (find() === undefined) await ensureForm(state, layer, 'blob')
  return (
    find() ??
    makeOnce(state, layer, `fetch-${descriptor.digest}`, find, () => fetchOther(state, layer, image, reference))
  )
}

/** Fetches a blob of a layer that has another one already. */
async function fetchOther(
  state: FormsState,
  layer: LayerHandle,
  { descriptor, diffId }: ImageLayer,
  reference: string | undefined,
): Promise<Descriptor> {
  const record = state.requireRecord(layer)
  const references = [...(reference === undefined ? [] : [reference]), ...(record.remote?.references ?? [])]
  const remote = references.length === 0 ? undefined : { descriptor, references }
  await fetchLayer(state, { record: { ...record, remote }, progressVertex: layer.progressVertex })
  const isPlain = descriptor.digest === (diffId as string)
  state.put(
    layer,
    isPlain ? { hasTar: true, tarSizeBytes: descriptor.size } : { blobs: [{ descriptor, origin: 'pulled' }] },
  )
  return descriptor
}
