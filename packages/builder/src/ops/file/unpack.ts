import { join } from 'node:path'
import type { ByteString } from '../../base/byte-string.ts'
import { BuilderError } from '../../base/errors.ts'
import { contentChunks } from '../../disk/file-bytes.ts'
import { decompress, detectCompression, MAGIC_BYTES } from '../../tar/decompress.ts'
import type { DirectoryOptions, FileTarget } from '../../view/file-target.ts'
import { BLOCK_BYTES } from '../../tar/header.ts'
import { beginsAsTar, readForeignArchive } from '../../tar/foreign-archive.ts'
import { placeArchive } from '../../tar/place-archive.ts'
import type { ViewEntry } from '../../view/types.ts'

export interface UnpackOptions extends Omit<DirectoryOptions, 'mode'> {
  readonly temporaryDirectory: string
  readonly signal: AbortSignal | undefined
}

let unpacked = 0

/**
 * Unpacks a file into a directory when it is a tar, plain or compressed, whatever its name says; answers false when it
 * is none (then it is copied like any other). Bytes of its files lie in the temporary directory afterwards.
 * Throws OCI_ARCHIVE_INVALID when it begins as an archive and is damaged further on.
 */
export async function unpackArchive(
  source: ViewEntry,
  target: FileTarget,
  destination: ByteString,
  options: UnpackOptions,
): Promise<boolean> {
  if (source.type !== 'file' || source.size === 0) return false
  const open = await findTar(source)
  if (open === undefined) return false
  target.makeDirectories(destination, { ...options, mode: 0o755 })
  const entries = await readForeignArchive(
    withSignal(open(), options.signal),
    join(options.temporaryDirectory, `unpacked-${process.pid}-${++unpacked}`),
  )
  options.signal?.throwIfAborted()
  placeArchive(entries, target, destination, options.owner)
  return true
}

/** An archive may be endless: Ctrl-C ends it. */
async function* withSignal(tar: AsyncIterable<Buffer>, signal: AbortSignal | undefined): AsyncGenerator<Buffer> {
  for await (const chunk of tar) {
    signal?.throwIfAborted()
    yield chunk
  }
}

/** Opens the plain tar in a file; undefined when it does not begin with an entry of one. */
async function findTar(source: ViewEntry): Promise<(() => AsyncIterable<Buffer>) | undefined> {
  const compression = detectCompression(firstBytes(source, MAGIC_BYTES))
  const open = (): AsyncIterable<Buffer> =>
    decompress(contentChunks(source, { isReused: compression === 'none' }), compression)
  try {
    if (compression === 'zstd' && !(await hasWholeBlock(open()))) return undefined
    // In pieces of a header, so that damage further on does not hide it.
    const start = decompress(contentChunks(source), compression, BLOCK_BYTES)
    return (await beginsAsTar(start)) ? open : undefined
  } catch (error) {
    // BuildKit copies what it cannot decompress. It does so with xz archives where it finds no xz; its images bring one, so the
    // layer would depend on the machine: here that is an error.
    if (error instanceof BuilderError && error.code === 'OCI_ARCHIVE_INVALID') return undefined
    throw error
  }
}

function firstBytes(source: ViewEntry, length: number): Buffer {
  for (const chunk of contentChunks(source)) return Buffer.from(chunk.subarray(0, length))
  return Buffer.alloc(0)
}

const ZSTD_BLOCK_BYTES = 128 << 10

/** BuildKit's decoder gives out no byte of a block that is damaged, nor of a short frame whose checksum is wrong. */
async function hasWholeBlock(data: AsyncIterable<Buffer>): Promise<boolean> {
  let sizeBytes = 0
  try {
    for await (const chunk of data) {
      sizeBytes += chunk.length
      if (sizeBytes >= ZSTD_BLOCK_BYTES) return true
    }
  } catch (error) {
    if (!(error instanceof BuilderError) || error.code !== 'OCI_ARCHIVE_INVALID') throw error
    // What follows a whole frame is looked at only by who reads on.
    return (error.cause as { code?: unknown } | undefined)?.code === 'ZSTD_error_prefix_unknown'
  }
  return true
}
