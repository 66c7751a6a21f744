import {
  closeFd,
  errnoOf,
  openPath,
  openResolved,
  openRoot,
  OpenFlags,
  readFileInto,
  readFully,
  statFd,
  type FileStat,
} from '@ts-oci/runtime'
import { fromByteString } from '../base/byte-string.ts'
import { BuilderError } from '../base/errors.ts'
import { toNanoseconds } from '../view/entry.ts'
import type { ContentSource, LayerEntry, SparseMap } from '../view/types.ts'

/** Reads the bytes that entries name, wherever they lie; keeps directories and tars open meanwhile. */
export interface ContentReader extends Disposable {
  /**
   * Hands the whole content of a file to `sink`, in pieces no larger than its room. Throws OCI_CONTEXT_CHANGED when a
   * file of a build context is not what the entry says any more, OCI_FILE_OP_FAILED for any other file.
   */
  read(entry: LayerEntry, sink: ContentSink): void
  /** The first bytes of a file, at most `maxBytes`. */
  readStart(entry: LayerEntry, maxBytes: number): Buffer
  close(): void
}

/** Where content goes: a buffer that is filled in place. */
export interface ContentSink {
  /** Where the next bytes may go: at least one byte of room, and `wanted` bytes if the buffer is that large at all. */
  room(wanted?: number): { readonly buffer: Buffer; readonly start: number; readonly end: number }
  /** Says how many bytes were put there. */
  filled(bytes: number): void
}

export function createContentReader(): ContentReader {
  const roots = new Map<string, number>()
  const files = new Map<string, number>()

  function rootFd(path: string): number {
    let fd = roots.get(path)
    if (fd === undefined) {
      fd = openRoot(path)
      roots.set(path, fd)
    }
    return fd
  }

  function fileFd(path: string): number {
    let fd = files.get(path)
    if (fd === undefined) {
      if (files.size >= 32) closeAll(files)
      fd = openPath(path, OpenFlags.read)
      files.set(path, fd)
    }
    return fd
  }

  function read(entry: LayerEntry, sink: ContentSink): void {
    const { content, size } = entry
    if (size === 0) return
    if (content === undefined) throw missing(entry, 'has no content')
    if (content.kind === 'inline') return copyInline(content.bytes, entry, sink)
    if (content.kind === 'range') return readRange(fileFd(content.file), content, entry, sink)
    if (content.kind === 'layer') throw missing(entry, `lies in the layer ${content.layer}, which is not at hand`)
    const { buffer, start, end } = sink.room(size + 1)
    // One byte more than it should have tells that a file has grown.
    if (end - start > size) return readWhole(content, entry, sink, buffer, start)
    return readLarge(content, entry, sink)
  }

  function readWhole(content: NamedContent, entry: LayerEntry, sink: ContentSink, buffer: Buffer, start: number): void {
    const result = guardNamed(content, entry, () =>
      readFileInto(rootFd(content.root), content.path, buffer, start, entry.size + 1),
    )
    if (result === undefined || result.bytesRead !== entry.size) throw changed(content, entry)
    checkStat(content, entry, result.stat)
    sink.filled(entry.size)
  }

  function readLarge(content: NamedContent, entry: LayerEntry, sink: ContentSink): void {
    const flags = OpenFlags.read | OpenFlags.nonBlocking
    const fd = guardNamed(content, entry, () => openResolved(rootFd(content.root), content.path, flags, 'beneath'))
    try {
      const stat = statFd(fd)
      if (stat.type !== 'file') throw changed(content, entry)
      checkStat(content, entry, stat)
      readRange(fd, { offset: 0 }, entry, sink, () => changed(content, entry))
      checkStat(content, entry, statFd(fd))
    } finally {
      closeFd(fd)
    }
  }

  function readStart(entry: LayerEntry, maxBytes: number): Buffer {
    const length = Math.min(entry.size, maxBytes)
    const target = Buffer.allocUnsafe(length)
    const { content } = entry
    if (length === 0 || content === undefined) return target.subarray(0, 0)
    if (content.kind === 'inline') return Buffer.from(content.bytes.subarray(0, length))
    if (content.kind === 'range')
      return target.subarray(0, readPart(fileFd(content.file), content, target, 0, length, 0))
    if (content.kind === 'layer') throw missing(entry, `lies in the layer ${content.layer}, which is not at hand`)
    const result = guardNamed(content, entry, () => readFileInto(rootFd(content.root), content.path, target, 0, length))
    if (result === undefined) throw changed(content, entry)
    return target.subarray(0, Math.min(length, result.bytesRead))
  }

  function close(): void {
    closeAll(roots)
    closeAll(files)
  }

  return { read, readStart, close, [Symbol.dispose]: close }
}

const CHUNK_BYTES = 1 << 18

export interface ChunkOptions {
  /** Part of the file, in bytes; default: all of it. */
  readonly start?: number
  readonly end?: number
  /** A piece is valid until the next one is asked for: all are in one buffer. Else each is a buffer of its own. */
  readonly isReused?: boolean
}

/** The content of a file in pieces. Throws as `ContentReader.read`. */
export function* contentChunks(
  entry: LayerEntry,
  { start = 0, end = entry.size, isReused = false }: ChunkOptions = {},
): Generator<Buffer, void, undefined> {
  const { content } = entry
  if (start >= end) return
  if (content === undefined || content.kind === 'layer') throw missing(entry, 'has no content at hand')
  if (content.kind === 'inline') {
    yield Buffer.from(content.bytes.subarray(start, end))
    return
  }
  const fd = content.kind === 'range' ? openPath(content.file, OpenFlags.read) : openNamed(content, entry)
  try {
    const range = content.kind === 'range' ? content : { offset: 0 }
    if (content.kind !== 'range') checkStat(content, entry, statFd(fd))
    const buffer = isReused ? Buffer.allocUnsafe(Math.min(CHUNK_BYTES, end - start)) : undefined
    for (let at = start; at < end; at += CHUNK_BYTES) {
      const length = Math.min(CHUNK_BYTES, end - at)
      const piece = buffer?.subarray(0, length) ?? Buffer.allocUnsafe(length)
      if (readPart(fd, range, piece, 0, piece.length, at) < piece.length)
        throw missing(entry, 'is shorter than it should be')
      yield piece
    }
  } finally {
    closeFd(fd)
  }
}

function openNamed(content: NamedContent, entry: LayerEntry): number {
  const root = openRoot(content.root)
  try {
    return guardNamed(content, entry, () =>
      openResolved(root, content.path, OpenFlags.read | OpenFlags.nonBlocking, 'beneath'),
    )
  } finally {
    closeFd(root)
  }
}

/** Whether two files hold the same bytes; reads no further than the first difference. */
export function isSameContent(a: LayerEntry, b: LayerEntry): boolean {
  if (a.size !== b.size) return false
  const others = contentChunks(b, { isReused: true })
  try {
    for (const chunk of contentChunks(a, { isReused: true })) {
      const other = others.next()
      if (other.done === true || !chunk.equals(other.value)) return sameInline(a, b)
    }
    return true
  } finally {
    others.return()
  }
}

/** Inline bytes come as one piece, whatever the other side does: compare them as a whole. */
function sameInline(a: LayerEntry, b: LayerEntry): boolean {
  if (a.content?.kind !== 'inline' && b.content?.kind !== 'inline') return false
  return Buffer.concat([...contentChunks(a)]).equals(Buffer.concat([...contentChunks(b)]))
}

type NamedContent = Extract<ContentSource, { readonly root: string }>

function copyInline(bytes: Uint8Array, entry: LayerEntry, sink: ContentSink): void {
  if (bytes.length !== entry.size) throw missing(entry, 'has another size than its content')
  let done = 0
  while (done < bytes.length) {
    const { buffer, start, end } = sink.room()
    const length = Math.min(end - start, bytes.length - done)
    buffer.set(bytes.subarray(done, done + length), start)
    sink.filled(length)
    done += length
  }
}

/** Where a file's bytes lie in another; with a map the holes between are left out there. */
interface FileRange {
  readonly offset: number
  readonly map?: SparseMap
}

function readRange(
  fd: number,
  range: FileRange,
  entry: LayerEntry,
  sink: ContentSink,
  onShort?: () => BuilderError,
): void {
  let done = 0
  while (done < entry.size) {
    const { buffer, start, end } = sink.room()
    const length = Math.min(end - start, entry.size - done)
    if (readPart(fd, range, buffer, start, length, done) < length)
      throw onShort?.() ?? missing(entry, 'is cut off in the file that holds it')
    sink.filled(length)
    done += length
  }
}

/** Bytes of a file from `at` on into a buffer; answers how many there were. */
function readPart(
  fd: number,
  { offset, map }: FileRange,
  buffer: Buffer,
  start: number,
  length: number,
  at: number,
): number {
  if (map === undefined) return readFully(fd, buffer, start, length, offset + at)
  buffer.fill(0, start, start + length)
  let stored = offset
  for (const piece of map) {
    const from = Math.max(piece.offset, at)
    const wanted = Math.min(piece.offset + piece.length, at + length) - from
    if (wanted > 0 && readFully(fd, buffer, start + from - at, wanted, stored + from - piece.offset) < wanted) return 0
    stored += piece.length
  }
  return length
}

/** A context can change under us: what is read must be what was listed. */
function checkStat(content: NamedContent, entry: LayerEntry, stat: FileStat): void {
  if (stat.size !== entry.size) throw changed(content, entry)
  if (content.kind === 'context' && toNanoseconds(stat.mtimeSec, stat.mtimeNsec) !== content.mtimeNs)
    throw changed(content, entry)
}

function guardNamed<T>(content: NamedContent, entry: LayerEntry, work: () => T): T {
  try {
    return work()
  } catch (error) {
    const errno = errnoOf(error)
    if (errno === undefined || errno === 'EACCES' || errno === 'EIO' || errno === 'EMFILE') throw error
    throw changed(content, entry, error)
  }
}

function changed(content: NamedContent, entry: LayerEntry, cause?: unknown): BuilderError {
  const name = fromByteString(content.path)
  if (content.kind === 'tree')
    return new BuilderError('OCI_FILE_OP_FAILED', `the file "${name}" of a layer's tree is not what its table says`, {
      cause,
      details: { path: entry.path },
    })
  return new BuilderError('OCI_CONTEXT_CHANGED', `"${name}" changed while it was read`, {
    hint: 'build again when nothing writes to the build context',
    cause,
    details: { path: content.path },
  })
}

function missing(entry: LayerEntry, why: string): BuilderError {
  // A part of a tar lies in the store.
  const hint = entry.content?.kind === 'range' ? 'the store may be damaged: `tsbuild store check --repair`' : undefined
  return new BuilderError('OCI_FILE_OP_FAILED', `the file "${fromByteString(entry.path)}" ${why}`, { hint })
}

function closeAll(descriptors: Map<string, number>): void {
  for (const fd of descriptors.values()) closeFd(fd)
  descriptors.clear()
}
