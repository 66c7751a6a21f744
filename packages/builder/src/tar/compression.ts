import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import type { Writable } from 'node:stream'
import { createZstdCompress, type constants } from 'node:zlib'
import { closeFd, DEFLATE_ID, errnoOf, openPath, OpenFlags, readFully, statFd, writeFully } from '@ts-oci/runtime'
import { BuilderError } from '../base/errors.ts'
import type { Compression } from '../oci/compressions.ts'
import { createDigester } from '../oci/digest.ts'
import type { CompressedFile, IndexedBlob, Output } from './blob-output.ts'
import { createGzipWriter } from './gzip-writer.ts'

export type { CompressedFile } from './blob-output.ts'

/** Of a blob that is compressed at all. */
export type BlobCompression = Exclude<Compression, 'none'>

export interface CompressFileOptions {
  /** A plain tar. */
  readonly source: string
  /** A new file. */
  readonly destination: string
  readonly compression: BlobCompression
  /** gzip 0–9, zstd 0–22, where 0 is its default. Without it gzip is made by our own encoder. */
  readonly level?: number | undefined
  readonly signal?: AbortSignal | undefined
  /** The tar is still being written, front to back, until this settles: gzip follows its end. */
  readonly growing?: Promise<unknown> | undefined
}

const DEFAULT_ZSTD_LEVEL = 3
const READ_BYTES = 1 << 20
/** A file that is being written is looked at so often: it grows by a few MiB meanwhile. */
const GROWTH_MS = 3

/** One way to compress a blob. */
interface Compressor {
  /** The least level and the greatest. */
  readonly levels: readonly [min: number, max: number]
  /** Differs where the bytes do. */
  id(level: number | undefined): string
  write(
    source: number,
    growth: Growth,
    level: number | undefined,
    output: Output,
    signal: AbortSignal | undefined,
  ): Promise<IndexedBlob | void>
}

/** How each compression of `oci/compressions.ts` is written. */
const COMPRESSORS: Readonly<Record<BlobCompression, Compressor>> = {
  gzip: {
    levels: [0, 9],
    id: (level) => (level === undefined ? DEFLATE_ID : `node-zlib ${process.versions.zlib} level ${level}`),
    write: writeGzip,
  },
  zstd: {
    levels: [0, 22],
    id: (level = DEFAULT_ZSTD_LEVEL) => `node-zstd ${process.versions.zstd} level ${level}`,
    write: (source, _growth, level = DEFAULT_ZSTD_LEVEL, output, signal) =>
      writeZstd(source, statFd(source).size, level, output, signal),
  },
  estargz: {
    levels: [0, 9],
    id: (level) => `estargz 1 node-zlib ${process.versions.zlib} level ${level ?? 'default'}`,
    write: async (source, _growth, level, output, signal) =>
      (await import('./estargz.ts')).writeEstargz(source, level, output, signal),
  },
  'zstd:chunked': {
    levels: [0, 22],
    id: (level = DEFAULT_ZSTD_LEVEL) => `zstd:chunked 1 node-zstd ${process.versions.zstd} level ${level}`,
    write: async (source, _growth, level = DEFAULT_ZSTD_LEVEL, output, signal) =>
      (await import('./zstd-chunked.ts')).writeZstdChunked(source, level, output, signal),
  },
}

/** What made a blob, for its record: bytes of another compressor are other bytes. Throws OCI_OPTION_INVALID. */
export function compressorId(compression: BlobCompression, level?: number): string {
  checkLevel(compression, level)
  return COMPRESSORS[compression].id(level)
}

/**
 * Compresses a file into a new one. gzip is ONE member of blocks that carry the last 32 KiB as dictionary: all cores
 * work and the bytes do not depend on how many there are. Throws OCI_OPTION_INVALID for a level that does not exist.
 */
export async function compressFile(options: CompressFileOptions): Promise<CompressedFile> {
  const { compression, level, signal } = options
  checkLevel(compression, level)
  const growth = followGrowth(options.growing)
  const source = await openGrowing(options.source, growth)
  try {
    const output = openOutput(options.destination)
    try {
      const more = await COMPRESSORS[compression].write(source, growth, level, output, signal)
      return { ...output.finish(), ...more }
    } finally {
      output.close()
    }
  } finally {
    closeFd(source)
  }
}

function checkLevel(compression: BlobCompression, level: number | undefined): void {
  const [min, max] = COMPRESSORS[compression].levels
  if (level === undefined || (Number.isInteger(level) && level >= min && level <= max)) return
  throw new BuilderError('OCI_OPTION_INVALID', `${compression} has no compression level ${level}`, {
    hint: `levels are ${min} to ${max}`,
  })
}

/** @throws OCI_RUNTIME_FILES when it exists or cannot be made. */
function openOutput(path: string): Output {
  const fd = openPath(path, OpenFlags.write | OpenFlags.create | OpenFlags.exclusive, 0o644)
  const digester = createDigester()
  let sizeBytes = 0
  return {
    write(bytes) {
      digester.update(bytes)
      writeFully(fd, bytes)
      sizeBytes += bytes.length
    },
    finish: () => ({ digest: digester.digest(), sizeBytes }),
    close: () => closeFd(fd),
  }
}

interface Growth {
  isWhole: boolean
  failure: { readonly error: unknown } | undefined
}

function followGrowth(growing: Promise<unknown> | undefined): Growth {
  const growth: Growth = { isWhole: growing === undefined, failure: undefined }
  growing?.then(
    () => (growth.isWhole = true),
    (error: unknown) => (growth.failure = { error }),
  )
  return growth
}

/** Whoever writes the file may not have made it yet. */
async function openGrowing(path: string, growth: Growth): Promise<number> {
  for (;;) {
    const { isWhole } = growth
    try {
      return openPath(path, OpenFlags.read)
    } catch (error) {
      if (isWhole || errnoOf(error) !== 'ENOENT') throw error
    }
    await waitForGrowth(growth)
  }
}

async function waitForGrowth({ failure }: Growth): Promise<void> {
  if (failure !== undefined) throw failure.error
  await delay(GROWTH_MS)
}

async function writeGzip(
  source: number,
  growth: Growth,
  level: number | undefined,
  output: Output,
  signal: AbortSignal | undefined,
): Promise<void> {
  const gzip = createGzipWriter({ level, output: output.write, signal })
  try {
    for (let position = 0; ;) {
      signal?.throwIfAborted()
      // Asked before the size: what is whole does not grow any more.
      const { isWhole } = growth
      const left = statFd(source).size - position
      if (left === 0 && isWhole) break
      const room = left === 0 ? undefined : await gzip.room()
      // Blocks end where they would if the file had been whole: the bytes are the same.
      if (room === undefined || (!isWhole && left < room.end - room.start)) {
        await waitForGrowth(growth)
        continue
      }
      const end = Math.min(room.end, room.start + left)
      const block = readBlock(source, position, room.buffer.subarray(room.start, end))
      gzip.filled(block.length)
      position += block.length
    }
    await gzip.finish()
  } finally {
    await gzip.close()
  }
}

function readBlock(source: number, position: number, block: Buffer): Buffer {
  if (readFully(source, block, 0, block.length, position) < block.length)
    throw new BuilderError('OCI_STORE_UNUSABLE', 'a layer in the store became shorter while it was compressed')
  return block
}

async function writeZstd(
  source: number,
  size: number,
  level: number,
  output: Output,
  signal: AbortSignal | undefined,
): Promise<void> {
  const stream = createZstdCompress({
    chunkSize: 1 << 18,
    params: { [zlibConstants().ZSTD_c_compressionLevel]: level, [zlibConstants().ZSTD_c_checksumFlag]: 1 },
    pledgedSrcSize: size,
  })
  // Thrown in a listener, a full disk would end the process: it ends the stream, and both waits below hear of it.
  stream.on('data', (chunk: Buffer) => {
    try {
      output.write(chunk)
    } catch (error) {
      stream.destroy(error as Error)
    }
  })
  const ended = once(stream, 'end')
  // Awaited below; a failure before that must not count as unhandled.
  ended.catch(() => undefined)
  try {
    // Two blocks in turn, one read while the other is compressed: a new one each time is garbage by the gigabyte.
    const blocks = [spareBlock(stream), spareBlock(stream)]
    for (let position = 0, turn = 0; position < size; position += READ_BYTES, turn ^= 1) {
      signal?.throwIfAborted()
      const { room, write } = blocks[turn]!
      const bytes = (await room()).subarray(0, Math.min(READ_BYTES, size - position))
      write(readBlock(source, position, bytes))
    }
    stream.end()
    await ended
  } catch (error) {
    // A write to a stream that ended by a full disk says only that it ended.
    throw stream.errored ?? error
  } finally {
    stream.destroy()
  }
}

/** A block of memory that is written to a stream again and again; `room` waits until the stream has done with it. */
function spareBlock(stream: Writable): { room(): Promise<Buffer>; write(bytes: Buffer): void } {
  const memory = Buffer.allocUnsafeSlow(READ_BYTES)
  let done: Promise<void> = Promise.resolve()
  return {
    room: async () => {
      await done
      return memory
    },
    write: (bytes) => {
      done = new Promise((resolve, reject) => stream.write(bytes, (error) => (error ? reject(error) : resolve())))
      // Awaited with the next block; a failure before that must not count as unhandled.
      done.catch(() => undefined)
    },
  }
}

/** At first need: who only gives an image a name loads no streams, which this module does. */
function zlibConstants(): typeof constants {
  return process.getBuiltinModule('node:zlib').constants
}
