import type { ByteString } from '../base/byte-string.ts'
import { BuilderError, type BuilderErrorCode } from '../base/errors.ts'
import { fromByteString } from '../base/byte-string.ts'
import { BLOCK_BYTES, paddedSize } from './header.ts'
import { decodePax } from './pax.ts'
import { dataSize, entryName, entryType, toTarEntry, type TarEntry } from './tar-entry.ts'
import { readHeader, type RawHeader } from './tar-header.ts'
import { createSparseMapReader, sparseRecords, checkSparseMap } from './tar-sparse.ts'
import type { SparseMap } from '../view/types.ts'

export type { TarEntry } from './tar-entry.ts'

export interface TarHandler {
  entry(entry: TarEntry): void
  /** Pieces of the data of the last entry; views of the pushed chunk, valid during the call. */
  data?(piece: Buffer): void
  /** So many zeros, which the tar leaves out of a sparse file. */
  hole?(sizeBytes: number): void
  /** After the last piece of an entry, also when it has no data. */
  entryEnd?(): void
  /** A valid header that is no entry: of a global record, or of a type that nobody unpacks, which is refused otherwise. */
  other?(flag: string): void
}

/** A tar reader that is fed: works on whatever chunks come, and hands each header and piece of data to its handler. */
export interface TarReader {
  push(chunk: Uint8Array): void
  /** Two blocks of zeros came: what follows belongs to no tar, and is not looked at. */
  readonly isFinished: boolean
  /** Says that the input is over; throws when it stops inside an entry. */
  end(): void
}

/** A PAX or GNU header larger than this is an attack on memory, not a name. */
const MAX_META_BYTES = 1 << 20

const META_FLAGS = new Set(['x', 'g', 'L', 'K'])

/**
 * Reads ustar, v7, star, PAX and GNU tars, and ends where Go's archive/tar ends: at two blocks of zeros, or where the
 * input ends between two entries. What it cannot read throws `code` (default OCI_LAYER_INVALID).
 */
export function createTarReader(handler: TarHandler, code: BuilderErrorCode = 'OCI_LAYER_INVALID'): TarReader {
  const carry = Buffer.allocUnsafe(BLOCK_BYTES)
  let carried = 0
  let position = 0
  let dataLeft = 0
  let paddingLeft = 0
  let zeroBlocks = 0
  let isInEntry = false
  let meta: { readonly flag: string; readonly data: Buffer; filled: number } | undefined
  let sparse: ReturnType<typeof createSparseFeed> | undefined
  /** A sparse file whose map is still to come. */
  let mapped: { readonly take: (block: Buffer, offset: number) => boolean } | undefined
  const next = {
    pax: undefined as Map<string, ByteString> | undefined,
    name: undefined as ByteString | undefined,
    link: undefined as ByteString | undefined,
  }

  function push(chunk: Uint8Array): void {
    const buffer = Buffer.isBuffer(chunk) ? chunk : Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
    let at = 0
    while (at < buffer.length && zeroBlocks < 2) {
      const before = at
      if (mapped !== undefined) at += takeBlock(buffer, at)
      else if (dataLeft > 0) at += takeData(buffer, at)
      else if (paddingLeft > 0) at += skipPadding(buffer.length - at)
      else at += takeBlock(buffer, at)
      position += at - before
    }
  }

  function takeData(buffer: Buffer, at: number): number {
    const length = Math.min(dataLeft, buffer.length - at)
    if (meta !== undefined) {
      buffer.copy(meta.data, meta.filled, at, at + length)
      meta.filled += length
    } else if (sparse !== undefined) sparse.push(buffer.subarray(at, at + length))
    else if (handler.data !== undefined && isInEntry) handler.data(buffer.subarray(at, at + length))
    dataLeft -= length
    if (dataLeft === 0) endOfData()
    return length
  }

  function endOfData(): void {
    if (meta !== undefined) takeMeta(meta.flag, meta.data)
    else if (isInEntry) {
      isInEntry = false
      sparse?.end()
      sparse = undefined
      handler.entryEnd?.()
    }
    meta = undefined
  }

  function skipPadding(available: number): number {
    const length = Math.min(paddingLeft, available)
    paddingLeft -= length
    return length
  }

  /** A header, or a block of a sparse file's map. */
  function takeBlock(buffer: Buffer, at: number): number {
    const length = Math.min(BLOCK_BYTES - carried, buffer.length - at)
    if (length === BLOCK_BYTES) {
      readBlock(buffer, at, position + BLOCK_BYTES)
      return BLOCK_BYTES
    }
    buffer.copy(carry, carried, at, at + length)
    carried += length
    if (carried === BLOCK_BYTES) {
      carried = 0
      readBlock(carry, 0, position + length)
    }
    return length
  }

  function readBlock(block: Buffer, offset: number, dataOffset: number): void {
    if (mapped !== undefined) return guard(() => readMapBlock(block, offset))
    if (isZero(block, offset)) {
      zeroBlocks++
      return
    }
    // One block of zeros may be the last one; what stands behind it is none of a tar.
    if (zeroBlocks > 0) throw invalid('the tar goes on behind a block of zeros')
    guard(() => takeHeader(readHeader(block, offset), dataOffset))
  }

  function takeHeader(raw: RawHeader, dataOffset: number): void {
    if (META_FLAGS.has(raw.flag)) {
      if (raw.size > MAX_META_BYTES) throw invalid(`a header of the tar is ${raw.size} bytes long`)
      meta = { flag: raw.flag, data: Buffer.alloc(raw.size), filled: 0 }
      startData(raw.size)
      return
    }
    const records = { ...next }
    clearNext()
    const name = entryName(raw, records)
    const type = entryType(raw.flag, name)
    // Links and directories have no data, whatever their size field says.
    const hasData = type === 'file' || type === undefined
    const size = dataSize(raw, records.pax)
    const found = sparseRecords(records.pax)
    if (found !== undefined && type === 'file') return takeSparse(raw, records, found, size, name, dataOffset)
    if (found !== undefined && type !== undefined) throw invalid(`"${fromByteString(name)}" is sparse and no file`)
    const entry = toTarEntry(raw, records, {
      name,
      type: type ?? 'file',
      size: type === 'file' ? size : 0,
      dataOffset,
    })
    if (type === undefined) takeUnknown(raw.flag, name)
    else {
      isInEntry = true
      handler.entry(entry)
    }
    startData(hasData ? size : 0)
  }

  function takeUnknown(flag: string, name: ByteString): void {
    if (handler.other !== undefined) return handler.other(flag)
    const kind = flag === 'S' ? 'is a sparse file of old GNU tar' : `has the unknown type ${JSON.stringify(flag)}`
    throw new BuilderError(code, `"${fromByteString(name)}" ${kind}, which no builder unpacks`, {
      ...(flag === 'S' && { hint: 'write the archive with --format=posix' }),
    })
  }

  function takeSparse(
    raw: RawHeader,
    records: typeof next,
    found: NonNullable<ReturnType<typeof sparseRecords>>,
    storedSize: number,
    headerName: ByteString,
    dataOffset: number,
  ): void {
    const name = found.name ?? headerName
    const size = found.size ?? storedSize
    const begin = (map: SparseMap): void => {
      checkSparseMap(map, size)
      // The data of form 1.0 begins behind its map.
      handler.entry(
        toTarEntry(raw, records, { name, type: 'file', size, dataOffset: dataOffset + storedSize - dataLeft, map }),
      )
      isInEntry = true
      if (map.reduce((sum, { length }) => sum + length, 0) !== dataLeft)
        throw invalid(`the sparse file "${fromByteString(name)}" holds more or less data than its map says`)
      sparse = createSparseFeed(
        map,
        size,
        (piece) => handler.data?.(piece),
        (bytes) => handler.hole?.(bytes),
      )
      if (dataLeft === 0) endOfData()
    }
    dataLeft = storedSize
    paddingLeft = paddedSize(storedSize) - storedSize
    if (found.map !== undefined) return begin(found.map)
    const reader = createSparseMapReader()
    mapped = {
      take(block, offset) {
        if (dataLeft < BLOCK_BYTES) throw invalid('the map of a sparse file in the tar is cut off')
        dataLeft -= BLOCK_BYTES
        const map = reader.push(block, offset)
        if (map !== undefined) begin(map)
        return map !== undefined
      },
    }
  }

  function readMapBlock(block: Buffer, offset: number): void {
    const current = mapped!
    if (current.take(block, offset)) mapped = undefined
  }

  function startData(size: number): void {
    dataLeft = size
    paddingLeft = paddedSize(size) - size
    if (size === 0) endOfData()
  }

  function takeMeta(flag: string, data: Buffer): void {
    if (flag === 'x') next.pax = guard(() => decodePax(data))
    else if (flag === 'g') {
      // Global records are read and not applied, as containerd and Go's archive/tar do; they end what came before them.
      guard(() => decodePax(data))
      clearNext()
      handler.other?.(flag)
    } else {
      const nul = data.indexOf(0)
      const text = data.toString('latin1', 0, nul < 0 ? data.length : nul)
      if (flag === 'L') next.name = text === '' ? undefined : text
      else next.link = text === '' ? undefined : text
    }
  }

  function clearNext(): void {
    next.pax = next.name = next.link = undefined
  }

  function guard<T>(work: () => T): T {
    try {
      return work()
    } catch (error) {
      if (error instanceof BuilderError && error.code === 'OCI_LAYER_INVALID' && code !== error.code)
        throw new BuilderError(code, error.message, { cause: error })
      throw error
    }
  }

  function invalid(message: string): BuilderError {
    return new BuilderError(code, message)
  }

  function end(): void {
    if (zeroBlocks >= 2) return
    // Padding may be missing: many a writer leaves out what nobody reads.
    if (dataLeft > 0 || isInEntry || carried > 0 || meta !== undefined || mapped !== undefined)
      throw invalid('the tar ends in the middle of an entry')
  }

  return {
    push,
    get isFinished() {
      return zeroBlocks >= 2
    },
    end,
  }
}

/** Puts the data of a sparse file where its map says, and tells the holes between. */
function createSparseFeed(
  map: SparseMap,
  sizeBytes: number,
  data: (piece: Buffer) => void,
  hole: (sizeBytes: number) => void,
): { push(piece: Buffer): void; end(): void } {
  let index = 0
  let position = 0
  function skipTo(offset: number): void {
    if (offset > position) hole(offset - position)
    position = offset
  }
  return {
    push(piece) {
      for (let at = 0; at < piece.length;) {
        const { offset, length } = map[index]!
        if (position < offset) skipTo(offset)
        const taken = Math.min(offset + length - position, piece.length - at)
        if (taken > 0) data(piece.subarray(at, at + taken))
        position += taken
        at += taken
        if (position === offset + length) index++
      }
    },
    end: () => skipTo(sizeBytes),
  }
}

function isZero(block: Buffer, offset: number): boolean {
  for (let i = offset; i < offset + BLOCK_BYTES; i++) if (block[i] !== 0) return false
  return true
}
