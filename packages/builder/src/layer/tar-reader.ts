import type { ByteString } from '../byte-string.ts'
import { BuilderError, type BuilderErrorCode } from '../errors.ts'
import { fromByteString } from '../byte-string.ts'
import { BLOCK_BYTES, paddedSize, readHeader, type RawHeader } from './header.ts'
import { decodePax, parsePaxInteger, parsePaxTime, XATTR_PREFIX } from './pax.ts'
import type { EntryType } from './types.ts'

/** One entry of a tar as it is written there: names are neither cleaned nor checked. */
export interface TarEntry {
  readonly name: ByteString
  readonly type: Exclude<EntryType, 'whiteout' | 'opaque'>
  readonly mode: number
  readonly uid: number
  readonly gid: number
  /** Bytes of data that follow; 0 for all but files. */
  readonly size: number
  readonly mtimeSec: number
  readonly mtimeNsec: number
  readonly link: ByteString
  readonly devMajor: number
  readonly devMinor: number
  readonly xattrs: ReadonlyMap<string, Uint8Array> | undefined
  /** Where the data begins, counted from the tar's first byte. */
  readonly dataOffset: number
}

export interface TarHandler {
  entry(entry: TarEntry): void
  /** Pieces of the data of the last entry; views of the pushed chunk, valid during the call. */
  data?(piece: Buffer): void
  /** After the last piece of an entry, also when it has no data. */
  entryEnd?(): void
}

/** A tar reader that is fed: works on whatever chunks come, and hands each header and piece of data to its handler. */
export interface TarReader {
  push(chunk: Uint8Array): void
  /** Says that the input is over; throws when it stops inside an entry. */
  end(): void
}

/** A PAX or GNU header larger than this is an attack on memory, not a name. */
const MAX_META_BYTES = 1 << 20

/** Reads ustar, v7, PAX and GNU tars. What it cannot read throws `code` (default OCI_LAYER_INVALID). */
export function createTarReader(handler: TarHandler, code: BuilderErrorCode = 'OCI_LAYER_INVALID'): TarReader {
  const carry = Buffer.allocUnsafe(BLOCK_BYTES)
  let carried = 0
  let position = 0
  let dataLeft = 0
  let paddingLeft = 0
  let isInEntry = false
  let isFinished = false
  let hasEntries = false
  let meta: { readonly flag: string; readonly data: Buffer; filled: number } | undefined
  const next = {
    pax: undefined as Map<string, ByteString> | undefined,
    name: undefined as ByteString | undefined,
    link: undefined as ByteString | undefined,
  }

  function push(chunk: Uint8Array): void {
    const buffer = Buffer.isBuffer(chunk) ? chunk : Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
    let at = 0
    while (at < buffer.length && !isFinished) {
      const before = at
      if (dataLeft > 0) at += takeData(buffer, at)
      else if (paddingLeft > 0) at += skipPadding(buffer.length - at)
      else at += takeHeader(buffer, at)
      position += at - before
    }
  }

  function takeData(buffer: Buffer, at: number): number {
    const length = Math.min(dataLeft, buffer.length - at)
    if (meta !== undefined) {
      buffer.copy(meta.data, meta.filled, at, at + length)
      meta.filled += length
    } else if (handler.data !== undefined) handler.data(buffer.subarray(at, at + length))
    dataLeft -= length
    if (dataLeft === 0) endOfData()
    return length
  }

  function endOfData(): void {
    if (meta !== undefined) takeMeta(meta.flag, meta.data)
    else {
      isInEntry = false
      handler.entryEnd?.()
    }
    meta = undefined
  }

  function skipPadding(available: number): number {
    const length = Math.min(paddingLeft, available)
    paddingLeft -= length
    return length
  }

  function takeHeader(buffer: Buffer, at: number): number {
    if (carried === 0 && buffer.length - at >= BLOCK_BYTES) {
      readBlock(buffer, at, position + BLOCK_BYTES)
      return BLOCK_BYTES
    }
    const length = Math.min(BLOCK_BYTES - carried, buffer.length - at)
    buffer.copy(carry, carried, at, at + length)
    carried += length
    if (carried === BLOCK_BYTES) {
      carried = 0
      readBlock(carry, 0, position + length)
    }
    return length
  }

  function readBlock(block: Buffer, offset: number, dataOffset: number): void {
    if (isZero(block, offset)) {
      // One zero block ends the tar for every reader that matters; what follows is padding.
      isFinished = true
      return
    }
    const raw = guard(() => readHeader(block, offset))
    const isMeta = raw.flag === 'x' || raw.flag === 'g' || raw.flag === 'L' || raw.flag === 'K'
    if (isMeta) {
      if (raw.size > MAX_META_BYTES) throw invalid(`a header of the tar is ${raw.size} bytes long`)
      meta = { flag: raw.flag, data: Buffer.alloc(raw.size), filled: 0 }
      startData(raw.size)
      return
    }
    hasEntries = true
    const entry = guard(() => toEntry(raw, dataOffset))
    next.pax = next.name = next.link = undefined
    isInEntry = true
    handler.entry(entry)
    startData(entry.size)
  }

  function startData(size: number): void {
    dataLeft = size
    paddingLeft = paddedSize(size) - size
    if (size === 0) endOfData()
  }

  function takeMeta(flag: string, data: Buffer): void {
    if (flag === 'x') next.pax = guard(() => decodePax(data))
    // Global records are read and not applied, as containerd and Go's archive/tar do.
    else if (flag === 'g') guard(() => decodePax(data))
    else {
      const nul = data.indexOf(0)
      const text = data.toString('latin1', 0, nul < 0 ? data.length : nul)
      if (flag === 'L') next.name = text
      else next.link = text
    }
  }

  function toEntry(raw: RawHeader, dataOffset: number): TarEntry {
    const { pax } = next
    const name = paxValue(pax, 'path') ?? next.name ?? raw.name
    const type = typeOf(raw, name, pax)
    const size = paxNumber(pax, 'size') ?? raw.size
    const mtime = paxValue(pax, 'mtime')
    const time = mtime === undefined ? undefined : parsePaxTime(mtime)
    return {
      name,
      type,
      mode: raw.mode,
      uid: paxNumber(pax, 'uid') ?? raw.uid,
      gid: paxNumber(pax, 'gid') ?? raw.gid,
      // Links and directories have no data, whatever their size field says.
      size: type === 'file' ? size : 0,
      mtimeSec: time?.sec ?? raw.mtimeSec,
      mtimeNsec: time?.nsec ?? 0,
      link: paxValue(pax, 'linkpath') ?? next.link ?? raw.link,
      devMajor: raw.devMajor,
      devMinor: raw.devMinor,
      xattrs: xattrsOf(pax),
      dataOffset,
    }
  }

  function typeOf(
    raw: RawHeader,
    name: ByteString,
    pax: ReadonlyMap<string, ByteString> | undefined,
  ): TarEntry['type'] {
    if (raw.flag === 'S' || hasSparseRecords(pax))
      throw invalid(`"${fromByteString(name)}" is a sparse file of GNU tar, which is not supported`)
    if (raw.flag === '\0') return name.endsWith('/') ? 'directory' : 'file'
    const type = TYPES[raw.flag]
    if (type === undefined) throw invalid(`"${fromByteString(name)}" has the unknown type ${JSON.stringify(raw.flag)}`)
    return type
  }

  function guard<T>(work: () => T): T {
    try {
      return work()
    } catch (error) {
      if (error instanceof BuilderError && error.code !== code)
        throw new BuilderError(code, error.message, { cause: error })
      throw error
    }
  }

  function invalid(message: string): BuilderError {
    return new BuilderError(code, message)
  }

  function end(): void {
    if (isFinished) return
    if (dataLeft > 0 || isInEntry || carried > 0 || meta !== undefined)
      throw invalid('the tar ends in the middle of an entry')
    if (paddingLeft > 0 && !hasEntries) throw invalid('the tar ends in the middle of an entry')
  }

  return { push, end }
}

const TYPES: Readonly<Record<string, TarEntry['type']>> = {
  '0': 'file',
  '7': 'file',
  '1': 'hardlink',
  '2': 'symlink',
  '3': 'character',
  '4': 'block',
  '5': 'directory',
  '6': 'fifo',
}

function isZero(block: Buffer, offset: number): boolean {
  for (let i = offset; i < offset + BLOCK_BYTES; i++) if (block[i] !== 0) return false
  return true
}

function hasSparseRecords(pax: ReadonlyMap<string, ByteString> | undefined): boolean {
  if (pax === undefined) return false
  for (const key of pax.keys()) if (key.startsWith('GNU.sparse.')) return true
  return false
}

/** An empty value takes a record back: the header's own value stands. */
function paxValue(pax: ReadonlyMap<string, ByteString> | undefined, key: string): ByteString | undefined {
  const value = pax?.get(key)
  return value === '' ? undefined : value
}

function paxNumber(pax: ReadonlyMap<string, ByteString> | undefined, key: string): number | undefined {
  const value = paxValue(pax, key)
  return value === undefined ? undefined : parsePaxInteger(value, key)
}

function xattrsOf(pax: ReadonlyMap<string, ByteString> | undefined): ReadonlyMap<string, Uint8Array> | undefined {
  if (pax === undefined) return undefined
  let xattrs: Map<string, Uint8Array> | undefined
  for (const [key, value] of pax) {
    if (!key.startsWith(XATTR_PREFIX)) continue
    xattrs ??= new Map()
    xattrs.set(key.slice(XATTR_PREFIX.length), Buffer.from(value, 'latin1'))
  }
  return xattrs
}
