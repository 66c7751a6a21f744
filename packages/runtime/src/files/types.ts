/**
 * File work by (directory descriptor, name). Names are byte strings: one char (0–255) per byte of the name.
 * A descriptor is a plain number that `node:fs` may read and write; it is closed with `closeFd` and nothing else,
 * since `fs.closeSync` in a worker thread warns about descriptors that `node:fs` did not open.
 */

export type FileType = 'file' | 'directory' | 'symlink' | 'character' | 'block' | 'fifo' | 'socket'

/** What `lstat` says. Times are whole seconds (may be negative) and the nanoseconds above them. */
export interface FileStat {
  readonly type: FileType
  /** Permission bits, 07777. */
  readonly mode: number
  readonly uid: number
  readonly gid: number
  /** Bytes. */
  readonly size: number
  readonly mtimeSec: number
  readonly mtimeNsec: number
  readonly ctimeSec: number
  readonly ctimeNsec: number
  readonly dev: number
  /** A bigint, since two files whose numbers agree in the first 53 bits are not the same file. */
  readonly ino: bigint
  readonly nlink: number
  readonly rdevMajor: number
  readonly rdevMinor: number
}

export interface DirectoryName {
  readonly name: string
  readonly type: FileType
}

export interface WalkOptions {
  /** Looks for extended attributes of each entry (one more system call an entry); see `PackedEntries.hasXattrs`. */
  readonly xattrs?: boolean
  /** Reads the targets of symlinks; see `PackedEntries.link`. */
  readonly links?: boolean
}

/** A time for `utimensAt`. */
export interface FileTime {
  readonly sec: number
  readonly nsec: number
}

/** How a path of several components is resolved. No form follows magic links (`/proc/N/fd/…`). */
export type PathResolution =
  /** Symlinks are followed as if the directory were the root: neither `..` nor an absolute target leaves it. */
  | 'in-root'
  /** No symlink is followed anywhere, `..` may not leave the directory: ELOOP, EXDEV. */
  | 'beneath'
