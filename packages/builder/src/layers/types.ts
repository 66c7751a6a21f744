import type { LayerRecord } from '../store/types.ts'
import type { LayerEntry, LayerTable, View } from '../view/types.ts'
import type { Compression } from '../oci/compressions.ts'
import type { DiffID } from '../oci/digest.ts'
import type { Descriptor, ImageLayer } from '../oci/types.ts'

/** A layer during one build: a row of the store, or entries that nobody has written yet (a *selection*). */
export interface LayerHandle {
  readonly id: string
  readonly createdMs: number
  readonly description: string
  /** Where bytes that are fetched for this layer are reported. */
  readonly progressVertex: string | undefined
  /** Packed elsewhere: it came with an image, and may leave out directories that it changes nothing of. */
  readonly isForeign: boolean
}

/** Layers and their forms: each is converted once, when somebody needs another. */
export interface LayerForms {
  /** A layer of the store. */
  load(id: string, progressVertex?: string): LayerHandle
  /** A layer that only exists as entries; written when `tar`, `tree` or `blob` is asked for. */
  fromSelection(
    entries: readonly LayerEntry[],
    facts: { readonly createdMs: number; readonly description: string },
  ): LayerHandle
  /** A tree that a step wrote, and the entries that it adds. */
  fromTree(
    id: string,
    entries: readonly LayerEntry[],
    facts: { readonly createdMs: number; readonly description: string },
  ): Promise<LayerHandle>
  /**
   * The layers of an image whose manifest and config are in the store; nothing is fetched. `reference`: where a registry
   * has them; `needsTree`: a step will be run on them, so what is fetched is unpacked on its way.
   */
  fromImage(
    layers: readonly ImageLayer[],
    reference: string | undefined,
    progressVertex?: string,
    needsTree?: boolean,
  ): readonly LayerHandle[]

  table(layer: LayerHandle): Promise<LayerTable>
  /** The merged file system of a chain. */
  view(chain: readonly LayerHandle[]): Promise<View>
  /** Directory in overlay form. */
  tree(layer: LayerHandle): Promise<string>
  /** The directories that an overlay stacks for a chain, bottom first. */
  overlayTrees(chain: readonly LayerHandle[]): Promise<readonly string[]>
  /** Plain tar in the store's blobs. */
  tar(layer: LayerHandle): Promise<{ readonly diffId: DiffID; readonly sizeBytes: number }>
  /** A blob of one's own making; of a layer that was pulled the one that came, unless another is forced. */
  blob(layer: LayerHandle, want: BlobWish): Promise<Descriptor>
  /** The very blob that an image names; fetched where it is not at hand. `reference`: where a registry has the image. */
  imageBlob(layer: LayerHandle, image: ImageLayer, reference: string | undefined): Promise<Descriptor>
  /** Bytes of a file that a view names. */
  readFile(entry: LayerEntry, maxBytes: number): Promise<Uint8Array>
  /** Sources of the kind `layer` become ranges or tree paths; layers are inflated where needed. */
  resolveContents(entries: readonly LayerEntry[]): Promise<readonly LayerEntry[]>
  /** True when some persistent form is in the store. */
  isPersistent(layer: LayerHandle): boolean
  /** As `isPersistent`, and this process can read it: a tree of another boot or another kind of isolation does not count. */
  hasContent(layer: LayerHandle): boolean
  record(layer: LayerHandle): LayerRecord | undefined
  /** One sync, after which the trees that this build made outlive a crash of the machine. */
  syncTrees(): void
}

export interface BlobWish {
  readonly compression: Compression
  readonly level?: number
  readonly force: boolean
}
