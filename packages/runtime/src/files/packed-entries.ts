import type { FileStat, FileType } from './types.ts'

/** 32-bit words of a record; the layout is that of `native/addon/record.h`. */
export const RECORD_WORDS = 24

const WORD_OF = {
  mode: 0,
  uid: 1,
  gid: 2,
  nlink: 3,
  size: 4,
  mtimeSec: 6,
  mtimeNsec: 8,
  ctimeNsec: 9,
  ctimeSec: 10,
  dev: 12,
  ino: 14,
  rdevMajor: 16,
  rdevMinor: 17,
  nameOffset: 18,
  nameLength: 19,
  parent: 20,
  end: 21,
  linkLength: 22,
  flags: 23,
} as const

const HAS_XATTRS = 1

/**
 * Words of a fingerprint: size, mtime, ctime (with nanoseconds), device and inode, as they lie in a record. A file
 * whose fingerprint is the same was not changed, unless that happened within one tick of its file system's clock.
 */
export const FINGERPRINT_WORDS = 12

const TYPES: readonly (FileType | undefined)[] = [
  undefined,
  'fifo',
  'character',
  undefined,
  'directory',
  undefined,
  'block',
  undefined,
  'file',
  undefined,
  'symlink',
  undefined,
  'socket',
  undefined,
  undefined,
  undefined,
]

/**
 * The entries of a directory, or of a whole tree (depth-first, names of a directory bytewise, a directory before its
 * content), as the kernel's `lstat` gave them. Fields are decoded when they are asked for: 50,000 entries cost
 * one buffer and one string, not 50,000 objects.
 */
export class PackedEntries {
  readonly length: number
  private readonly words: Uint32Array
  private readonly inodes: BigUint64Array
  private readonly names: string
  private readonly directoryPaths = new Map<number, string>()

  constructor(records: ArrayBuffer, names: string) {
    this.words = new Uint32Array(records)
    this.inodes = new BigUint64Array(records)
    this.length = this.words.length / RECORD_WORDS
    this.names = names
  }

  name(index: number): string {
    const offset = this.word(index, WORD_OF.nameOffset)
    return this.names.slice(offset, offset + this.word(index, WORD_OF.nameLength))
  }

  /** Path below the directory that was read; its parts are joined by `/`. */
  path(index: number): string {
    const parent = this.parent(index)
    return parent < 0 ? this.name(index) : `${this.directoryPath(parent)}/${this.name(index)}`
  }

  /** Index of the directory that holds the entry; -1 for the directory that was read. */
  parent(index: number): number {
    return this.word(index, WORD_OF.parent) | 0
  }

  /** Index behind the last entry below a directory: where a walk goes on that does not enter it. */
  end(index: number): number {
    return this.word(index, WORD_OF.end)
  }

  type(index: number): FileType {
    return typeOfMode(this.word(index, WORD_OF.mode))
  }

  isDirectory(index: number): boolean {
    return (this.word(index, WORD_OF.mode) & 0o170000) === 0o040000
  }

  isFile(index: number): boolean {
    return (this.word(index, WORD_OF.mode) & 0o170000) === 0o100000
  }

  /** Permission bits, 07777. */
  mode(index: number): number {
    return this.word(index, WORD_OF.mode) & 0o7777
  }

  uid(index: number): number {
    return this.word(index, WORD_OF.uid)
  }

  gid(index: number): number {
    return this.word(index, WORD_OF.gid)
  }

  nlink(index: number): number {
    return this.word(index, WORD_OF.nlink)
  }

  /** Bytes. */
  size(index: number): number {
    return this.wide(index, WORD_OF.size)
  }

  mtimeSec(index: number): number {
    return this.wide(index, WORD_OF.mtimeSec)
  }

  mtimeNsec(index: number): number {
    return this.word(index, WORD_OF.mtimeNsec)
  }

  ctimeSec(index: number): number {
    return this.wide(index, WORD_OF.ctimeSec)
  }

  ctimeNsec(index: number): number {
    return this.word(index, WORD_OF.ctimeNsec)
  }

  dev(index: number): number {
    return this.wide(index, WORD_OF.dev)
  }

  ino(index: number): bigint {
    return this.inodes[(index * RECORD_WORDS + WORD_OF.ino) / 2]!
  }

  rdevMajor(index: number): number {
    return this.word(index, WORD_OF.rdevMajor)
  }

  rdevMinor(index: number): number {
    return this.word(index, WORD_OF.rdevMinor)
  }

  /** Target of a symlink; undefined for other types and when the walk did not ask for `links`. */
  link(index: number): string | undefined {
    const length = this.word(index, WORD_OF.linkLength)
    if (length === 0) return undefined
    const offset = this.word(index, WORD_OF.nameOffset) + this.word(index, WORD_OF.nameLength)
    return this.names.slice(offset, offset + length)
  }

  /** Whether the entry carries extended attributes; false when the walk did not ask for `xattrs`. */
  hasXattrs(index: number): boolean {
    return (this.word(index, WORD_OF.flags) & HAS_XATTRS) !== 0
  }

  stat(index: number): FileStat {
    return {
      type: this.type(index),
      mode: this.mode(index),
      uid: this.uid(index),
      gid: this.gid(index),
      size: this.size(index),
      mtimeSec: this.mtimeSec(index),
      mtimeNsec: this.mtimeNsec(index),
      ctimeSec: this.ctimeSec(index),
      ctimeNsec: this.ctimeNsec(index),
      dev: this.dev(index),
      ino: this.ino(index),
      nlink: this.nlink(index),
      rdevMajor: this.rdevMajor(index),
      rdevMinor: this.rdevMinor(index),
    }
  }

  copyFingerprint(index: number, target: Uint32Array, offset: number): void {
    const start = index * RECORD_WORDS + WORD_OF.size
    target.set(this.words.subarray(start, start + FINGERPRINT_WORDS), offset)
  }

  hasFingerprint(index: number, words: Uint32Array, offset: number): boolean {
    const start = index * RECORD_WORDS + WORD_OF.size
    for (let i = 0; i < FINGERPRINT_WORDS; i++) if (this.words[start + i] !== words[offset + i]) return false
    return true
  }

  private word(index: number, word: number): number {
    return this.words[index * RECORD_WORDS + word]!
  }

  /** A signed 64-bit number, low word first. */
  private wide(index: number, word: number): number {
    const at = index * RECORD_WORDS + word
    return (this.words[at + 1]! | 0) * 0x1_0000_0000 + this.words[at]!
  }

  private directoryPath(index: number): string {
    let path = this.directoryPaths.get(index)
    if (path === undefined) {
      path = this.path(index)
      this.directoryPaths.set(index, path)
    }
    return path
  }
}

/** The type that `st_mode` names. */
function typeOfMode(mode: number): FileType {
  return TYPES[(mode >>> 12) & 15] ?? 'file'
}
