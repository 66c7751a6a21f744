import { availableParallelism } from 'node:os'
import { promisify } from 'node:util'
import { constants, zstdCompress } from 'node:zlib'
import { statFd } from '@ts-oci/runtime'
import { freeBytes } from '../base/free-bytes.ts'
import { digestOf } from '../oci/digest.ts'
import type { IndexedBlob, Output } from './blob-output.ts'
import {
  createContentLog,
  cutTar,
  describeEntry,
  inOrder,
  readPart,
  type ContentLog,
  type TarPart,
} from './tar-parts.ts'
import type { TarEntry } from './tar-entry.ts'
import { createTarSplit } from './tar-split.ts'

const compressOnce = promisify(zstdCompress)
const SKIPPABLE = Buffer.from([0x50, 0x2a, 0x4d, 0x18])
const FOOTER_MAGIC = Buffer.from('GNUlInUx')
/** What containers/storage has for tables of this form. */
const TABLE_TYPE = 1

/**
 * Writes a tar as `zstd:chunked` (containers/storage, pkg/chunked): frames that begin where a piece of a file begins, then in frames
 * that decoders skip a table of contents, what the tar has besides (tar-split), and a footer that says where the two are. The tar is
 * the layer's own.
 */
export async function writeZstdChunked(
  source: number,
  level: number,
  output: Output,
  signal: AbortSignal | undefined,
): Promise<IndexedBlob> {
  const params = { [constants.ZSTD_c_compressionLevel]: level, [constants.ZSTD_c_checksumFlag]: 1 }
  const compress = (bytes: Buffer): Promise<Buffer> => compressOnce(bytes, { params })
  let offset = 0
  const write = (bytes: Buffer): number => {
    output.write(bytes)
    offset += bytes.length
    return offset - bytes.length
  }
  const sizeBytes = statFd(source).size
  const { entries, parts, end } = cutTar(source, sizeBytes, signal)
  const log = createContentLog()
  const split = createTarSplit(entries)
  const ends = new Map<TarEntry, number>()
  await inOrder(
    [...parts, ...tail(end, sizeBytes)],
    availableParallelism() + 1,
    async (part) => {
      signal?.throwIfAborted()
      const bytes = readPart(source, part)
      return { bytes, compressed: await compress(bytes) }
    },
    ({ bytes, compressed }, { chunk, start }) => {
      const at = write(compressed)
      split.add(bytes, start, chunk?.entry)
      if (chunk === undefined) return
      log.add(chunk, bytes, at)
      ends.set(chunk.entry, offset)
      // Headers are kept for tar-split, contents by nobody.
      freeBytes(bytes)
      freeBytes(compressed)
    },
  )
  const plainSplit = split.finish()
  const packedSplit = await compress(plainSplit)
  const table = Buffer.from(
    JSON.stringify({
      version: 1,
      entries: entries.flatMap((entry) => tableEntries(entry, log, ends.get(entry))),
      tarSplitDigest: digestOf(packedSplit),
    }),
  )
  const packedTable = await compress(table)
  const tableAt = skippable(write, packedTable)
  const splitAt = skippable(write, packedSplit)
  const numbers = [
    tableAt,
    packedTable.length,
    table.length,
    TABLE_TYPE,
    splitAt,
    packedSplit.length,
    plainSplit.length,
  ]
  const footer = Buffer.alloc(64)
  numbers.forEach((number, index) => footer.writeBigUInt64LE(BigInt(number), index * 8))
  FOOTER_MAGIC.copy(footer, 56)
  skippable(write, footer)
  const prefix = 'io.github.containers.zstd-chunked'
  return {
    annotations: {
      [`${prefix}.manifest-checksum`]: digestOf(packedTable),
      [`${prefix}.manifest-position`]: numbers.slice(0, 4).join(':'),
      [`${prefix}.tarsplit-position`]: numbers.slice(4).join(':'),
    },
  }
}

/** The zeros at the end. */
function tail(start: number, end: number): readonly TarPart[] {
  return start < end ? [{ start, end }] : []
}

/** Answers where the content begins. */
function skippable(write: (bytes: Buffer) => number, content: Buffer): number {
  const length = Buffer.alloc(4)
  length.writeUInt32LE(content.length)
  write(Buffer.concat([SKIPPABLE, length]))
  return write(content)
}

function tableEntries(entry: TarEntry, log: ContentLog, endOffset: number | undefined): readonly object[] {
  const described = describeEntry(entry)
  const content = log.of(entry)
  if (content === undefined) return [described]
  const { digest, chunks } = content
  const place = { digest, offset: chunks[0]!.start, endOffset }
  if (chunks.length === 1) return [{ ...described, ...place }]
  return chunks.map((chunk, index) => ({
    ...(index === 0 ? { ...described, ...place } : { type: 'chunk', name: described['name'], offset: chunk.start }),
    chunkSize: chunk.sizeBytes,
    ...(chunk.offset === 0 ? {} : { chunkOffset: chunk.offset }),
    chunkDigest: chunk.digest,
  }))
}
