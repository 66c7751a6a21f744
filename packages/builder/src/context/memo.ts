import { randomBytes } from 'node:crypto'
import { crc32 } from 'node:zlib'
import {
  closeFd,
  errnoOf,
  FINGERPRINT_WORDS,
  openAt,
  openAtIfPresent,
  OpenFlags,
  openRoot,
  readFully,
  removeTree,
  renameAt,
  statFd,
  writeFully,
  type PackedEntries,
} from '@ts-oci/runtime'

/**
 * The digests of a context's files by their fingerprints, in one binary file in the order of the walk. In that order
 * each look-up is one comparison with the next record; a changed tree costs one table of inodes.
 *
 * File: 8 words head (magic, version, words of a record, number of records, CRC-32 of the rest), then the records:
 * 12 words fingerprint, 8 words sha256, 1 word saying how many recordings ago the file was last seen.
 */
export interface DigestMemo {
  /** The sha256 of a file whose fingerprint is known, 32 bytes; do not keep the array. */
  find(entries: PackedEntries, index: number): Uint8Array | undefined
  /** Remembers a digest (32 bytes). */
  record(entries: PackedEntries, index: number, digest: Uint8Array): void
  /** Writes the memo aside and renames it, if anything was recorded; whoever reads meanwhile sees the old one. */
  save(): void
}

const MAGIC = 0x4f43_494d
const VERSION = 1
const HEAD_WORDS = 8
const DIGEST_WORDS = 8
const RECORD_WORDS = FINGERPRINT_WORDS + DIGEST_WORDS + 1
const AGE = FINGERPRINT_WORDS + DIGEST_WORDS
// Words of a fingerprint that tell most about which file it is.
const INODE_LOW = FINGERPRINT_WORDS - 2

// Builds of other Dockerfiles read other parts of one context: what this one did not see is kept for a while.
const AGE_MAX = 16
const RECORDS_MAX = 1_000_000

/** Opens the memo `directory/name`; one that is missing, cut off or of another version is an empty one. */
export function openDigestMemo(directory: string, name: string): DigestMemo {
  const old = readRecords(directory, name)
  const oldCount = old.length / RECORD_WORDS
  const seen = new Uint8Array(oldCount)
  const fresh = createRecordList()
  // Which records the walk met, in its order: an old one by its number, a new one by -1 - number.
  const order: number[] = []
  let byInode: Map<number, number[]> | undefined
  let next = 0

  function findRecord(entries: PackedEntries, index: number): number {
    if (next < oldCount && entries.hasFingerprint(index, old, next * RECORD_WORDS)) return next++
    byInode ??= indexByInode(old)
    fresh.copyFingerprint(entries, index)
    for (const candidate of byInode.get(fresh.scratch[INODE_LOW]!) ?? []) {
      if (!entries.hasFingerprint(index, old, candidate * RECORD_WORDS)) continue
      next = candidate + 1
      return candidate
    }
    return -1
  }

  return {
    find(entries, index) {
      const found = findRecord(entries, index)
      if (found < 0) return undefined
      if (seen[found] === 0) {
        seen[found] = 1
        order.push(found)
      }
      return new Uint8Array(
        old.buffer,
        old.byteOffset + (found * RECORD_WORDS + FINGERPRINT_WORDS) * 4,
        DIGEST_WORDS * 4,
      )
    },
    record(entries, index, digest) {
      order.push(-1 - fresh.append(entries, index, digest))
    },
    save() {
      if (fresh.length() === 0) return
      writeRecords(directory, name, merge(old, seen, fresh.words(), order))
    },
  }
}

function indexByInode(records: Uint32Array): Map<number, number[]> {
  const index = new Map<number, number[]>()
  for (let at = 0, number = 0; at < records.length; at += RECORD_WORDS, number++) {
    const inode = records[at + INODE_LOW]!
    const others = index.get(inode)
    if (others === undefined) index.set(inode, [number])
    else others.push(number)
  }
  return index
}

interface RecordList {
  readonly scratch: Uint32Array
  copyFingerprint(entries: PackedEntries, index: number): void
  append(entries: PackedEntries, index: number, digest: Uint8Array): number
  length(): number
  words(): Uint32Array
}

function createRecordList(): RecordList {
  const scratch = new Uint32Array(FINGERPRINT_WORDS)
  let words = new Uint32Array(0)
  let bytes = new Uint8Array(words.buffer)
  let length = 0
  return {
    scratch,
    copyFingerprint: (entries, index) => entries.copyFingerprint(index, scratch, 0),
    append(entries, index, digest) {
      const at = length * RECORD_WORDS
      if (at + RECORD_WORDS > words.length) {
        const larger = new Uint32Array(Math.max(words.length * 2, 256 * RECORD_WORDS))
        larger.set(words)
        words = larger
        bytes = new Uint8Array(words.buffer)
      }
      entries.copyFingerprint(index, words, at)
      bytes.set(digest, (at + FINGERPRINT_WORDS) * 4)
      return length++
    },
    length: () => length,
    words: () => words.subarray(0, length * RECORD_WORDS),
  }
}

/** What was met in the order of the walk, then what was not met lately. */
function merge(old: Uint32Array, seen: Uint8Array, fresh: Uint32Array, order: readonly number[]): Uint32Array {
  const result = new Uint32Array(old.length + fresh.length)
  let length = 0
  for (const number of order) {
    const [source, at] = number < 0 ? [fresh, (-1 - number) * RECORD_WORDS] : [old, number * RECORD_WORDS]
    result.set(source.subarray(at, at + RECORD_WORDS), length)
    result[length + AGE] = 0
    length += RECORD_WORDS
  }
  for (let number = 0; number < seen.length && length < RECORDS_MAX * RECORD_WORDS; number++) {
    const at = number * RECORD_WORDS
    if (seen[number] === 1 || old[at + AGE]! >= AGE_MAX) continue
    result.set(old.subarray(at, at + RECORD_WORDS), length)
    result[length + AGE] = old[at + AGE]! + 1
    length += RECORD_WORDS
  }
  return result.subarray(0, length)
}

function readRecords(directory: string, name: string): Uint32Array {
  const bytes = readFile(directory, name)
  if (bytes === undefined || bytes.length < HEAD_WORDS * 4) return new Uint32Array(0)
  const words = new Uint32Array(bytes.buffer, bytes.byteOffset, Math.floor(bytes.length / 4))
  const [magic, version, recordWords, count, checksum] = words
  const body = words.subarray(HEAD_WORDS)
  if (magic !== MAGIC || version !== VERSION || recordWords !== RECORD_WORDS || body.length !== count! * RECORD_WORDS)
    return new Uint32Array(0)
  // A wrong digest would be a wrong cache hit for ever: a memo that a disk damaged is no memo.
  return crc32(bytes.subarray(HEAD_WORDS * 4)) === checksum ? body : new Uint32Array(0)
}

function readFile(directory: string, name: string): Uint8Array | undefined {
  let folder: number
  try {
    folder = openRoot(directory)
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw error
  }
  try {
    const fd = openAtIfPresent(folder, name, OpenFlags.read | OpenFlags.nonBlocking)
    if (fd === undefined) return undefined
    try {
      const bytes = new Uint8Array(statFd(fd).size)
      return readFully(fd, bytes, 0, bytes.length, 0) === bytes.length ? bytes : undefined
    } finally {
      closeFd(fd)
    }
  } finally {
    closeFd(folder)
  }
}

function writeRecords(directory: string, name: string, records: Uint32Array): void {
  const body = new Uint8Array(records.buffer, records.byteOffset, records.byteLength)
  const head = new Uint32Array([MAGIC, VERSION, RECORD_WORDS, records.length / RECORD_WORDS, crc32(body), 0, 0, 0])
  const folder = openRoot(directory)
  // Not the process id: two containers that share a store have processes of one number.
  const temporary = `${name}.${randomBytes(8).toString('hex')}.tmp`
  try {
    const fd = openAt(folder, temporary, OpenFlags.write | OpenFlags.create | OpenFlags.exclusive, 0o600)
    try {
      writeFully(fd, new Uint8Array(head.buffer))
      writeFully(fd, body)
    } finally {
      closeFd(fd)
    }
    renameAt(folder, temporary, folder, name)
  } catch (error) {
    removeTree(folder, temporary)
    throw error
  } finally {
    closeFd(folder)
  }
}
