import type { ByteString } from '../base/byte-string.ts'
import type { Digest } from '../oci/digest.ts'

export type EntryType =
  | 'file'
  | 'directory'
  | 'symlink'
  | 'hardlink'
  | 'character'
  | 'block'
  | 'fifo'
  | 'whiteout'
  | 'opaque'

/** What files have, wherever they are listed. */
export interface FileAttributes {
  /** Permission bits, 07777. */
  readonly mode: number
  readonly uid: number
  readonly gid: number
  /** Bytes of a file, holes included; 0 for all else. */
  readonly size: number
  /** Seconds of the Unix epoch, floored, and the nanoseconds above it. */
  readonly mtimeSec: number
  readonly mtimeNsec: number
}

/** One entry of a layer table: what a tar header says, and where the bytes lie. Immutable. */
export interface LayerEntry extends FileAttributes {
  /** Path from the root, no leading or trailing slash; the root itself is ''. Of a whiteout: the path that vanishes; of an opaque whiteout: the directory. */
  readonly path: ByteString
  readonly type: EntryType
  /** Target of a symlink, or the path (from the root) that a hard link names. */
  readonly link?: ByteString
  readonly devMajor?: number
  readonly devMinor?: number
  /** Name → value. Only `security.capability` reaches a layer that we write; a pulled layer may hold others. */
  readonly xattrs?: ReadonlyMap<string, Uint8Array>
  /** Where a file's bytes lie; absent for everything that has none (also for size 0). */
  readonly content?: ContentSource
  /** sha256 of a file's bytes, where known. */
  readonly contentDigest?: Digest
  /**
   * Another name that this file had when its step ended, and that the layer leaves out because nothing but the link is
   * new about it. A tar cannot say it; in views of this table the two are one file, as they are in BuildKit's snapshots.
   */
  readonly sameFileAs?: ByteString
  /** A directory of which only the time is new: no tar holds it, views show it, as BuildKit's snapshots do. */
  readonly isTimeOnly?: boolean
}

/** Where a file's bytes lie. Structured-cloneable: jobs receive it. */
export type ContentSource =
  /** A range of a plain tar (or any file) of ours. */
  | {
      readonly kind: 'range'
      readonly file: string
      readonly offset: number
      /** Of a sparse file: where its data belongs, which lies there piece behind piece. */ readonly map?: SparseMap
    }
  /** A file in a tree, in overlay form, of a snapshot: root directory and path below it (resolved without following anything). */
  | { readonly kind: 'tree'; readonly root: string; readonly path: ByteString }
  /** A file of a build context: it can change under us, so size and times are checked again when it is read. */
  | { readonly kind: 'context'; readonly root: string; readonly path: ByteString; readonly mtimeNs: string }
  | { readonly kind: 'inline'; readonly bytes: Uint8Array }
  /** Inside a layer of the store whose bytes are not at hand uncompressed yet; the store resolves it to a range or tree. */
  | {
      readonly kind: 'layer'
      readonly layer: string
      readonly path: ByteString
      /** Offset in the uncompressed tar, where it is known. */ readonly offset?: number
      readonly map?: SparseMap
    }

/** The ranges of a sparse file that hold data, in order and apart; all else are holes. */
export type SparseMap = readonly { readonly offset: number; readonly length: number }[]

/** All entries of one layer. Entries are sorted as the tar is: depth-first, names of a directory bytewise. */
export interface LayerTable {
  readonly entries: readonly LayerEntry[]
}

/** An entry as it is seen in a merged file system: hard links are resolved to the file that they name. */
export interface ViewEntry extends LayerEntry {
  /** Two entries of one view that are the same file (hard links) have the same key. Absent when nothing else links to it. */
  readonly linkKey?: string
}

/**
 * A read-only file system that is read without mounting: a chain of layer tables, or a build context.
 * Paths are byte strings from the root without leading slash; `''` is the root.
 */
export interface View {
  /** The entry at exactly this path: no component, not even a parent, is followed. */
  entry(path: ByteString): ViewEntry | undefined
  /** Follows symlinks in the parents, and in the last component if `followLast`, never leaving the root. */
  lookup(path: ByteString, options?: { readonly followLast?: boolean }): ViewEntry | undefined
  /**
   * Resolves a path as `lookup` does but says where it leads even when the last components are missing:
   * the path with every symlink of its existing part followed.
   */
  resolve(path: ByteString, options?: { readonly followLast?: boolean }): ByteString
  /** Children of a directory, sorted bytewise by name. Empty for anything else. */
  children(path: ByteString): readonly ViewEntry[]
  /** Everything below a directory, depth-first, a directory before its content; `path` itself not included. */
  walk(path: ByteString): Iterable<ViewEntry>
}

/** Paths of a view whose content decides: a literal path, or what a wildcard and the patterns leave of it. */
export interface ContentSelector {
  readonly path: string
  readonly followLast: boolean
  readonly allowWildcard: boolean
  readonly includePatterns: readonly string[]
  readonly excludePatterns: readonly string[]
}
