import type { ByteString } from '../base/byte-string.ts'
import type { DiffID, Digest } from '../oci/digest.ts'
import type { JobContext } from './pauses.ts'
import type { ArchiveCompression } from '../tar/decompress.ts'
import type { OwnersOnDisk, RecordsOnDisk } from './owner-record.ts'
import type { ContentSource, LayerEntry } from '../view/types.ts'

/**
 * Work on files that may belong to foreign owners. `disk/jobs.ts` exports these as `handlers`; `disk/job-runner.ts` says which
 * run in the executor's process for file jobs. Inputs and outputs are structured clones: no functions.
 */
export interface LayerJobs {
  pack(input: PackInput, context?: JobContext): Promise<PackOutput>
  /** A directory that stands by itself to a plain tar. */
  packTree(input: PackTreeInput, context?: JobContext): Promise<PackTreeOutput>
  extract(input: ExtractInput): Promise<ExtractOutput>
  materialize(input: MaterializeInput, context?: JobContext): Promise<void>
  walkUpper(input: WalkUpperInput): Promise<WalkUpperOutput>
  writePlainTree(input: WritePlainTreeInput, context?: JobContext): Promise<void>
  recordTree(input: { readonly root: string }): Promise<TreeRecord>
  compareTree(input: CompareTreeInput): Promise<CompareTreeOutput>
  splitLinks(input: SplitLinksInput): Promise<void>
  /** sha256 of each file. */
  hashFiles(input: { readonly sources: readonly SizedSource[] }): Promise<readonly Digest[]>
  /** For pairs of files of equal size: whether their bytes are equal. */
  compareFiles(input: {
    readonly pairs: readonly { readonly a: SizedSource; readonly b: SizedSource }[]
  }): Promise<readonly boolean[]>
  /** @throws OCI_LAYER_INVALID when the file is larger than `maxBytes`. */
  readFile(input: {
    readonly source: ContentSource
    readonly size: number
    readonly maxBytes: number
  }): Promise<Uint8Array>
  /** The bytes of a file from `start` to before `end`: what is large is asked for in parts. */
  readPart(input: {
    readonly source: ContentSource
    readonly size: number
    readonly start: number
    readonly end: number
  }): Promise<Uint8Array>
  /** Makes a directory (its parent exists) with these attributes unless it is there. */
  makeDirectory(input: {
    readonly path: string
    readonly mode: number
    readonly uid: number
    readonly gid: number
    /** Default: `keep`. */
    readonly owners?: OwnersOnDisk
  }): Promise<{ readonly created: boolean }>
  /** Renames a directory to a name that is free: who owns neither it nor what it holds cannot do so outside. */
  rename(input: { readonly from: string; readonly to: string }): Promise<void>
  /** Gives a file of ours to an owner. */
  changeOwner(input: { readonly path: string; readonly uid: number; readonly gid: number }): Promise<void>
  /** Removes a tree of ours, whatever modes and owners it holds; nothing when it is not there. */
  removeTree(input: { readonly path: string }): Promise<void>
}

export interface SizedSource {
  readonly source: ContentSource
  readonly size: number
  /** Hashed before the file's bytes. */
  readonly head?: Uint8Array
}

/** Entries with resolved contents (`range`, `tree`, `context`, `inline`), sorted, to a plain tar at `destination` (a new file). */
export interface PackInput {
  readonly entries: readonly LayerEntry[]
  readonly destination: string
}
/** What a plain tar is known by. */
export interface PackedLayer {
  readonly diffId: DiffID
  readonly sizeBytes: number
}

export interface PackOutput extends PackedLayer {
  /** The table of the tar: contents are ranges of `destination`. */
  readonly entries: readonly LayerEntry[]
}

export interface PackTreeInput {
  readonly root: string
  readonly records: RecordsOnDisk
  /** A new file. */
  readonly destination: string
  /** Of contents, hard links once: what is larger is not packed. */
  readonly maxBytes: number
  /** A fingerprint: a tree that still has it is not packed. */
  readonly known?: string
}
export interface PackTreeOutput {
  readonly fingerprint: string
  /** Of the directory itself, which is not in the tar. */
  readonly root: { readonly mode: number; readonly uid: number; readonly gid: number }
  /** 0 where the tree was known. */
  readonly contentBytes: number
  readonly packed?: PackedLayer
}

/** A layer's blob at `file` to a tree in overlay form at `destination` (an empty directory). */
export interface ExtractInput {
  readonly file: string
  readonly compression: ArchiveCompression
  /** Of `file`, where it lies there whole: a large one gets a thread beside other jobs. */
  readonly sizeBytes?: number
  readonly destination: string
  /** Which xattr marks opaque directories. */
  readonly xattrs: 'trusted' | 'user'
  readonly owners: OwnersOnDisk
  /** @throws OCI_DIGEST_MISMATCH */
  readonly expectedDiffId?: DiffID
  readonly maxBytes?: number
}
export interface ExtractOutput {
  readonly diffId: DiffID
  readonly sizeBytes: number
  /** The table; contents are `range`s whose `file` is '' (offsets in the uncompressed tar). */
  readonly entries: readonly LayerEntry[]
}

/** Entries with resolved contents to a tree in overlay form. */
export interface MaterializeInput {
  readonly entries: readonly LayerEntry[]
  readonly destination: string
  readonly xattrs: 'trusted' | 'user'
  readonly owners: OwnersOnDisk
}

/** One walk over an overlay's upper directory; metadata only. */
export interface WalkUpperInput {
  readonly upper: string
  readonly xattrs: 'trusted' | 'user'
  readonly records: RecordsOnDisk
}
export interface WalkUpperOutput {
  /** Raw: nothing compared yet. Contents are `tree` sources below `upper`. Paths of hard links share `linkKey`. */
  readonly entries: readonly (LayerEntry & { readonly linkKey?: string; readonly isOpaque?: boolean })[]
}

/** Entries of a view with resolved contents, sorted, to a directory as it is to be seen: empty, or of another view. */
export interface WritePlainTreeInput {
  readonly removed: readonly ByteString[]
  readonly entries: readonly LayerEntry[]
  /** Blobs that have the bytes of further files. */
  readonly archives: readonly LayerArchive[]
  readonly destination: string
  readonly owners: OwnersOnDisk
}

/** A layer's blob, and files of it that are wanted: their contents name them in it (`layer`). */
export interface LayerArchive {
  readonly file: string
  readonly compression: ArchiveCompression
  readonly diffId: DiffID
  readonly entries: readonly LayerEntry[]
}

/** What a directory holds, by path, in the order of a walk. */
export interface TreeRecord {
  /** Joined by NUL, which is in no name. */
  readonly paths: string
  readonly count: number
  /** `FINGERPRINT_WORDS` of each. */
  readonly fingerprints: Uint32Array
  /** The largest ctime: what changes within the same tick of the file system's clock cannot be told. */
  readonly newest: { readonly sec: number; readonly nsec: number }
}

export interface CompareTreeInput {
  readonly root: string
  readonly before: TreeRecord
  readonly records: RecordsOnDisk
}
export interface CompareTreeOutput extends WalkUpperOutput {
  /** Paths of one file, where it has several: none of them had before. */
  readonly linked: readonly (readonly ByteString[])[]
  readonly after: TreeRecord
}

export interface SplitLinksInput {
  readonly root: string
  readonly groups: CompareTreeOutput['linked']
}
