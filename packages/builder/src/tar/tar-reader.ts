import { BuilderError, type BuilderErrorCode } from '../base/errors.ts'
import { fromByteString, type ByteString } from '../base/byte-string.ts'
import { BLOCK_BYTES, paddedSize } from './header.ts'
import { beginMeta, createMetaHeaders, isMetaFlag, type MetaHeader } from './meta-headers.ts'
import { createSparseFeed, type SparseFeed } from './sparse-feed.ts'
import { dataSize, entryName, entryType, toTarEntry, type EntryRecords, type TarEntry } from './tar-entry.ts'
import { readHeader, type RawHeader } from './tar-header.ts'
import { checkSparseMap, createSparseMapReader, sparseRecords, type SparseMapReader } from './tar-sparse.ts'
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
  /** How many of the next bytes nobody reads: data of an entry whose handler takes none, and padding. They may be left out by `skip`. */
  readonly skippable: number
  /** In place of a push of so many bytes, at most `skippable`. */
  skip(sizeBytes: number): void
  /** Says that the input is over; throws when it stops inside an entry. */
  end(): void
}

/**
 * Reads ustar, v7, star, PAX and GNU tars, and ends where Go's archive/tar ends: at two blocks of zeros, or where the
 * input ends between two entries. What it cannot read throws `code` (default OCI_LAYER_INVALID).
 */
export function createTarReader(handler: TarHandler, code: BuilderErrorCode = 'OCI_LAYER_INVALID'): TarReader {
  return new TarStream(handler, code)
}

/** A sparse file whose header was read. */
interface SparseFile {
  readonly raw: RawHeader
  readonly records: EntryRecords
  readonly name: ByteString
  /** Bytes with the holes. */
  readonly size: number
  /** Where its data ends, map included, counted from the tar's first byte. */
  readonly dataEnd: number
}

class TarStream implements TarReader {
  private readonly handler: TarHandler
  private readonly code: BuilderErrorCode
  /** A block that came in several chunks. */
  private readonly carry = Buffer.allocUnsafe(BLOCK_BYTES)
  private carried = 0
  private position = 0
  private dataLeft = 0
  private paddingLeft = 0
  private zeroBlocks = 0
  private isInEntry = false
  private readonly metaHeaders = createMetaHeaders()
  /** The header whose data comes now, if it is about the next one. */
  private meta: MetaHeader | undefined = undefined
  private sparse: SparseFeed | undefined = undefined
  /** A sparse file whose map is still to come. */
  private mapped: { readonly file: SparseFile; readonly reader: SparseMapReader } | undefined = undefined

  constructor(handler: TarHandler, code: BuilderErrorCode) {
    this.handler = handler
    this.code = code
  }

  get isFinished(): boolean {
    return this.zeroBlocks >= 2
  }

  push(chunk: Uint8Array): void {
    const buffer = Buffer.isBuffer(chunk) ? chunk : Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
    let at = 0
    while (at < buffer.length && this.zeroBlocks < 2) {
      const before = at
      if (this.mapped !== undefined) at += this.takeBlock(buffer, at)
      else if (this.dataLeft > 0) at += this.takeData(buffer, at)
      else if (this.paddingLeft > 0) at += this.skipPadding(buffer.length - at)
      else at += this.takeBlock(buffer, at)
      this.position += at - before
    }
  }

  get skippable(): number {
    const isRead = this.meta !== undefined || this.sparse !== undefined || this.mapped !== undefined
    if (isRead || this.carried > 0) return 0
    return this.dataLeft > 0 && this.handler.data !== undefined && this.isInEntry ? 0 : this.dataLeft + this.paddingLeft
  }

  skip(sizeBytes: number): void {
    this.position += sizeBytes
    const ofData = Math.min(sizeBytes, this.dataLeft)
    this.dataLeft -= ofData
    this.paddingLeft -= sizeBytes - ofData
    if (ofData > 0 && this.dataLeft === 0) this.endOfData()
  }

  end(): void {
    if (this.isFinished) return
    // Padding may be missing: many a writer leaves out what nobody reads.
    if (this.dataLeft > 0 || this.isInEntry || this.carried > 0 || this.meta !== undefined || this.mapped !== undefined)
      throw this.invalid('the tar ends in the middle of an entry')
  }

  private takeData(buffer: Buffer, at: number): number {
    const { meta, sparse, handler } = this
    const length = Math.min(this.dataLeft, buffer.length - at)
    if (meta !== undefined) {
      buffer.copy(meta.data, meta.filled, at, at + length)
      meta.filled += length
    } else if (sparse !== undefined) sparse.push(buffer.subarray(at, at + length))
    else if (handler.data !== undefined && this.isInEntry) handler.data(buffer.subarray(at, at + length))
    this.dataLeft -= length
    if (this.dataLeft === 0) this.endOfData()
    return length
  }

  private startData(size: number): void {
    this.dataLeft = size
    this.paddingLeft = paddedSize(size) - size
    if (size === 0) this.endOfData()
  }

  private endOfData(): void {
    const { meta } = this
    if (meta !== undefined) this.endOfMeta(meta)
    else if (this.isInEntry) {
      this.isInEntry = false
      this.sparse?.end()
      this.sparse = undefined
      this.handler.entryEnd?.()
    }
  }

  private endOfMeta(meta: MetaHeader): void {
    this.meta = undefined
    try {
      this.metaHeaders.add(meta)
    } catch (error) {
      throw this.asOurs(error)
    }
    if (meta.flag === 'g') this.handler.other?.(meta.flag)
  }

  private skipPadding(available: number): number {
    const length = Math.min(this.paddingLeft, available)
    this.paddingLeft -= length
    return length
  }

  /** A header, or a block of a sparse file's map. */
  private takeBlock(buffer: Buffer, at: number): number {
    const length = Math.min(BLOCK_BYTES - this.carried, buffer.length - at)
    if (length === BLOCK_BYTES) {
      this.readBlock(buffer, at, this.position + BLOCK_BYTES)
      return BLOCK_BYTES
    }
    buffer.copy(this.carry, this.carried, at, at + length)
    this.carried += length
    if (this.carried === BLOCK_BYTES) {
      this.carried = 0
      this.readBlock(this.carry, 0, this.position + length)
    }
    return length
  }

  private readBlock(block: Buffer, offset: number, dataOffset: number): void {
    try {
      if (this.mapped !== undefined) this.takeMapBlock(block, offset)
      else if (isZero(block, offset)) this.zeroBlocks++
      // One block of zeros may be the last one; what stands behind it is none of a tar.
      else if (this.zeroBlocks > 0) throw this.invalid('the tar goes on behind a block of zeros')
      else this.takeHeader(readHeader(block, offset), dataOffset)
    } catch (error) {
      throw this.asOurs(error)
    }
  }

  private takeHeader(raw: RawHeader, dataOffset: number): void {
    if (isMetaFlag(raw.flag)) {
      this.meta = beginMeta(raw)
      return this.startData(raw.size)
    }
    const records = this.metaHeaders.take()
    const name = entryName(raw, records)
    const type = entryType(raw.flag, name)
    const size = dataSize(raw, records.pax)
    const found = sparseRecords(records.pax)
    if (found !== undefined && type === 'file') {
      const file = { raw, records, name: found.name ?? name, size: found.size ?? size, dataEnd: dataOffset + size }
      return this.takeSparse(file, size, found.map)
    }
    if (found !== undefined && type !== undefined) throw this.invalid(`"${fromByteString(name)}" is sparse and no file`)
    const isFile = type === 'file'
    const entry = toTarEntry(raw, records, { name, type: type ?? 'file', size: isFile ? size : 0, dataOffset })
    if (type === undefined) this.takeUnknown(raw.flag, name)
    else {
      this.isInEntry = true
      this.handler.entry(entry)
    }
    // Links and directories have no data, whatever their size field says.
    this.startData(isFile || type === undefined ? size : 0)
  }

  private takeUnknown(flag: string, name: ByteString): void {
    if (this.handler.other !== undefined) return this.handler.other(flag)
    const kind = flag === 'S' ? 'is a sparse file of old GNU tar' : `has the unknown type ${JSON.stringify(flag)}`
    throw new BuilderError(this.code, `"${fromByteString(name)}" ${kind}, which no builder unpacks`, {
      ...(flag === 'S' && { hint: 'write the archive with --format=posix' }),
    })
  }

  private takeSparse(file: SparseFile, storedSize: number, map: SparseMap | undefined): void {
    this.dataLeft = storedSize
    this.paddingLeft = paddedSize(storedSize) - storedSize
    if (map === undefined) this.mapped = { file, reader: createSparseMapReader() }
    else this.beginSparse(file, map)
  }

  private takeMapBlock(block: Buffer, offset: number): void {
    const { file, reader } = this.mapped!
    if (this.dataLeft < BLOCK_BYTES) throw this.invalid('the map of a sparse file in the tar is cut off')
    this.dataLeft -= BLOCK_BYTES
    const map = reader.push(block, offset)
    if (map === undefined) return
    this.mapped = undefined
    this.beginSparse(file, map)
  }

  private beginSparse({ raw, records, name, size, dataEnd }: SparseFile, map: SparseMap): void {
    const { handler, dataLeft } = this
    checkSparseMap(map, size)
    handler.entry(toTarEntry(raw, records, { name, type: 'file', size, dataOffset: dataEnd - dataLeft, map }))
    this.isInEntry = true
    if (map.reduce((sum, { length }) => sum + length, 0) !== dataLeft)
      throw this.invalid(`the sparse file "${fromByteString(name)}" holds more or less data than its map says`)
    this.sparse = createSparseFeed(
      map,
      size,
      (piece) => handler.data?.(piece),
      (bytes) => handler.hole?.(bytes),
    )
    if (dataLeft === 0) this.endOfData()
  }

  /** What the parts of a tar throw speaks of a layer; in another kind of archive it is that one's error. */
  private asOurs(error: unknown): unknown {
    const isForeign = error instanceof BuilderError && error.code === 'OCI_LAYER_INVALID' && this.code !== error.code
    return isForeign ? new BuilderError(this.code, error.message, { cause: error }) : error
  }

  private invalid(message: string): BuilderError {
    return new BuilderError(this.code, message)
  }
}

function isZero(block: Buffer, offset: number): boolean {
  for (let i = offset; i < offset + BLOCK_BYTES; i++) if (block[i] !== 0) return false
  return true
}
