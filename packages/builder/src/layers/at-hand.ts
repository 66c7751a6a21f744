import type { LayerRecord, TreeForm } from '../store/types.ts'
import type { LayerTable } from '../view/types.ts'
import type { DiffID, Digest } from '../oci/digest.ts'
import type { Descriptor } from '../oci/types.ts'
import { treeKind, usesTree } from './tree-owners.ts'
import type { FormsState } from './conversion.ts'
import { isIntact } from './tree-witnesses.ts'
import type { LayerHandle } from './types.ts'

/** A row says what was made; these say what of it can be read now. */
export interface BlobForm {
  readonly path: string
  readonly descriptor: Descriptor
}

export interface TarForm {
  readonly diffId: DiffID
  readonly sizeBytes: number
}

/** Any compressed blob of a layer. */
export function findBlob({ store, record }: FormsState, layer: LayerHandle): BlobForm | undefined {
  const descriptor = record(layer)
    ?.blobs.filter(({ diffId }) => diffId === undefined)
    .map((blob) => blob.descriptor)
    .find((candidate) => store.blobs.has(candidate.digest))
  return descriptor && { path: store.blobs.path(descriptor.digest), descriptor }
}

export function findTar({ store, record }: FormsState, layer: LayerHandle): TarForm | undefined {
  const row = record(layer)
  return row?.hasTar && row.diffId !== undefined && row.tarSizeBytes !== undefined && store.blobs.has(asDigest(row))
    ? { diffId: row.diffId, sizeBytes: row.tarSizeBytes }
    : undefined
}

/** Of a row that speaks of it: what a crash of the machine left may be half of one. */
export function findTable({ store, record }: FormsState, layer: LayerHandle): LayerTable | undefined {
  return record(layer)?.hasTable === true ? store.layers.readTable(layer.id) : undefined
}

export function hasTable(state: FormsState, layer: LayerHandle): boolean {
  return state.selections.has(layer.id) || findTable(state, layer) !== undefined
}

/** The directory of a row's tree, where this build's executor can mount it. */
export async function findTree(state: FormsState, record: LayerRecord | undefined): Promise<string | undefined> {
  if (record?.trees === undefined) return undefined
  const kind = treeKind(await state.executor())
  const directory = state.store.snapshotDirectory(record.id, kind)
  const tree = record.trees.find((candidate) => usesTree(candidate, kind))
  return tree !== undefined && isIntact(directory, tree) ? directory : undefined
}

/** Some form that a later build can use is in the store; `isTree` judges the row's trees. */
export function isStored(
  { store, record }: FormsState,
  layer: LayerHandle,
  isTree: (tree: TreeForm) => boolean,
): boolean {
  const row = record(layer)
  if (row === undefined) return false
  return (
    row.remote !== undefined ||
    (row.hasTar && row.diffId !== undefined && store.blobs.has(asDigest(row))) ||
    row.blobs.some((blob) => blob.diffId === undefined && store.blobs.has(blob.descriptor.digest)) ||
    (row.trees ?? []).some((tree) => isTree(tree) && isThere(store, layer, tree))
  )
}

/** For a question an image is not mounted: who then finds nothing in it says so, and the layer is made again. */
function isThere(store: FormsState['store'], layer: LayerHandle, tree: TreeForm): boolean {
  if (store.isOutOfSight(tree)) return store.hasImage(tree.image!)
  return isIntact(store.snapshotDirectory(layer.id, tree), tree)
}

function asDigest(row: LayerRecord): Digest {
  return row.diffId as string as Digest
}
