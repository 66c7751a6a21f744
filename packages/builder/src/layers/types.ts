import type { WalkUpperOutput } from '../disk/job-types.ts'
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

/** What a layer says of itself before anybody looks into it. */
export interface LayerFacts {
  readonly createdMs: number
  readonly description: string
}

/** Where layers come from. */
export interface LayerFactory {
  /** A layer of the store. */
  load(id: string, progressVertex?: string): LayerHandle
  /** A layer that only exists as entries; written when `tar`, `tree` or `blob` is asked for. */
  fromSelection(entries: readonly LayerEntry[], facts: LayerFacts): LayerHandle
  /** A tree that a step wrote, and the entries that it adds. */
  fromTree(id: string, entries: readonly LayerEntry[], facts: LayerFacts): Promise<LayerHandle>
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
  /** The same layer with no time above the limit, in seconds (BuildKit's `rewrite-timestamp`); made once. */
  withTimesUpTo(layer: LayerHandle, limitSec: number): Promise<LayerHandle>
}

/** What is in layers, read without mounting them. */
export interface LayerReader {
  table(layer: LayerHandle): Promise<LayerTable>
  /** The merged file system of a chain. */
  view(chain: readonly LayerHandle[]): Promise<View>
  /** Bytes of a file that a view names. */
  readFile(entry: LayerEntry, maxBytes: number): Promise<Uint8Array>
  /** Sources of the kind `layer` become ranges or tree paths; layers are inflated where needed. */
  resolveContents(entries: readonly LayerEntry[]): Promise<readonly LayerEntry[]>
}

/** Layers as directories, for steps. */
export interface LayerTrees {
  /** Directory in overlay form. */
  tree(layer: LayerHandle): Promise<string>
  /** The directories that an overlay stacks for a chain, bottom first. */
  overlayTrees(chain: readonly LayerHandle[]): Promise<readonly string[]>
  /** After a mount that did not find one of those: true when they are to be asked for again. */
  forgetLostTrees(): Promise<boolean>
  /**
   * Makes of a layer what a step will need of it: its tree where overlays are stacked; else its bytes, of which working trees
   * are made.
   */
  forStep(layer: LayerHandle): Promise<void>
  /** Whether a step's root is an overlay over trees; else a working tree. */
  usesOverlay(): Promise<boolean>
  readonly workingTrees: WorkingTrees
  /** One sync, after which the trees that this build made outlive a crash of the machine. */
  syncTrees(): void
}

/** Roots of steps where no overlay can be had; they live as long as the build. */
export interface WorkingTrees {
  /** A directory that holds what a chain shows and that nobody else has: the one that a step handed on, or a new one. */
  take(chain: readonly LayerHandle[]): Promise<WorkingTree>
  /** What lies at a path of a chain, for mounts that write to it. */
  copy(chain: readonly LayerHandle[], path: string): Promise<AsyncDisposable & PlainCopy>
  /** The same for those that only read: made once, and there until the end of the build. */
  copyOnce(chain: readonly LayerHandle[], path: string): Promise<PlainCopy>
  /** Removes all that are left. */
  discard(): Promise<void>
}

/** A tree in the hands of one step; disposed of before it was handed on it is removed, whatever state it is in. */
export interface WorkingTree extends AsyncDisposable {
  /** Absolute. */
  readonly path: string
  /** What is another one than when it was taken, in the form of an overlay's upper directory. */
  changes(): Promise<WalkUpperOutput>
  /** After `changes`, when nothing needs what they refer to any more: whoever takes this chain next may have it. */
  handOn(chain: readonly LayerHandle[]): Promise<void>
}

export interface PlainCopy {
  readonly path: string
  readonly isDirectory: boolean
}

/** Layers as files, for outputs. */
export interface LayerFiles {
  /** Plain tar in the store's blobs. */
  tar(layer: LayerHandle): Promise<{ readonly diffId: DiffID; readonly sizeBytes: number }>
  /** A blob of one's own making; of a layer that was pulled the one that came, unless another is forced. */
  blob(layer: LayerHandle, want: BlobWish): Promise<Descriptor>
  /** The very blob that an image names; fetched where it is not at hand. `reference`: where a registry has the image. */
  imageBlob(layer: LayerHandle, image: ImageLayer, reference: string | undefined): Promise<Descriptor>
}

/** What the store has of layers; nothing is made. */
export interface LayerRecords {
  record(layer: LayerHandle): LayerRecord | undefined
  /** True when some persistent form is in the store. */
  isPersistent(layer: LayerHandle): boolean
  /** As `isPersistent`, and this process can read it: a tree of another boot or another kind of isolation does not count. */
  hasContent(layer: LayerHandle): boolean
}

/** Layers and their forms: each is converted once, when somebody needs another. Who uses them takes the roles that it needs. */
export interface LayerForms extends LayerFactory, LayerReader, LayerTrees, LayerFiles, LayerRecords {}

export interface BlobWish {
  readonly compression: Compression
  readonly level?: number
  readonly force: boolean
}
