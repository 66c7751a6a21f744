import { createHash } from 'node:crypto'
import { Socket } from 'node:net'
import { closeFd, openPath, OpenFlags, readFully, resizeFile, writeFully } from '@ts-oci/runtime'
import { BuilderError, isTsOciError } from '../base/errors.ts'
import type { DiffID } from '../oci/digest.ts'
import { decompress, detectCompression, MAGIC_BYTES } from '../tar/decompress.ts'
import { gathered } from '../tar/gathered.ts'
import type { ExtractInput, ExtractOutput } from './job-types.ts'
import { createTableBuilder, OWN_TAR } from '../tar/table.ts'
import { contentInTar } from '../tar/tar-entry.ts'
import { createTarReader } from '../tar/tar-reader.ts'
import { createTreeWriter } from './tree-writer.ts'
import type { LayerEntry } from '../view/types.ts'

const CHUNK_BYTES = 1 << 20

/**
 * Unpacks a layer into an empty directory in overlay form, and makes its table and diffID in the same pass.
 * Throws OCI_LAYER_INVALID, OCI_DIGEST_MISMATCH; the directory is half written then.
 */
export async function extractLayer(input: ExtractInput): Promise<ExtractOutput> {
  const extraction = createExtraction(input)
  try {
    if (input.compression === 'none') pushFile(input.file, extraction.push)
    else if (input.compression === 'detect') await pushStream(input.file, extraction.push)
    else for await (const chunk of decompress(chunksOf(input.file), input.compression)) extraction.push(chunk)
    return extraction.finish()
  } finally {
    extraction.close()
  }
}

/** Bytes that come by a FIFO: through epoll, as each blocked read would hold one of the threads that inflate. */
async function pushStream(fifo: string, push: (chunk: Uint8Array) => void): Promise<void> {
  const fd = openPath(fifo, OpenFlags.read | OpenFlags.nonBlocking)
  // Its writer may have come and gone: only of one that goes after the reader came does the kernel tell the end.
  closeFd(openPath(fifo, OpenFlags.write | OpenFlags.nonBlocking))
  const socket = new Socket({ fd, readable: true, writable: false })
  try {
    const pieces = socket[Symbol.asyncIterator]() as AsyncIterator<Buffer>
    let start = Buffer.alloc(0)
    while (start.length < MAGIC_BYTES) {
      const { done, value } = await pieces.next()
      if (done === true) break
      start = Buffer.concat([start, value])
    }
    for await (const chunk of decompress(gathered(joined(start, pieces)), detectCompression(start))) push(chunk)
  } catch (error) {
    if (!isTsOciError(error) || error.code !== 'OCI_ARCHIVE_INVALID') throw error
    throw new BuilderError('OCI_LAYER_INVALID', `a layer's blob cannot be decompressed: ${error.message}`, {
      cause: error,
    })
  } finally {
    socket.destroy()
  }
}

async function* joined(start: Buffer, rest: AsyncIterator<Buffer>): AsyncGenerator<Buffer> {
  yield start
  for (let next = await rest.next(); next.done !== true; next = await rest.next()) yield next.value
}

/** Each chunk in memory of its own: who inflates it may still read one while the next is asked for. */
function* chunksOf(path: string): Generator<Buffer> {
  const fd = openPath(path, OpenFlags.read)
  try {
    for (;;) {
      const buffer = Buffer.allocUnsafe(CHUNK_BYTES)
      const count = readFully(fd, buffer, 0, CHUNK_BYTES, null)
      if (count === 0) return
      yield buffer.subarray(0, count)
    }
  } finally {
    closeFd(fd)
  }
}

function pushFile(path: string, push: (chunk: Buffer) => void): void {
  const fd = openPath(path, OpenFlags.read)
  const buffer = Buffer.allocUnsafe(CHUNK_BYTES)
  try {
    for (;;) {
      const count = readFully(fd, buffer, 0, CHUNK_BYTES, null)
      if (count === 0) return
      push(buffer.subarray(0, count))
    }
  } finally {
    closeFd(fd)
  }
}

/** A layer on its way into a tree: takes the plain tar piece by piece. */
export interface Extraction {
  /** Throws OCI_LAYER_INVALID. */
  push(chunk: Uint8Array): void
  /** Throws OCI_LAYER_INVALID, OCI_DIGEST_MISMATCH. */
  finish(): ExtractOutput
  close(): void
}

/** As {@link extractLayer}, for bytes that come from elsewhere. */
function createExtraction(input: Omit<ExtractInput, 'file' | 'compression'>): Extraction {
  const writer = createTreeWriter(input.destination, input)
  const hash = createHash('sha256')
  const builder = createTableBuilder()
  let sizeBytes = 0
  let current: LayerEntry | undefined
  let fd = -1
  /** In the file. */
  let offset = 0

  const reader = createTarReader({
    entry(raw) {
      current = builder.add(raw, contentInTar(OWN_TAR, raw))
      offset = 0
      if (current === undefined) return
      if (current.type === 'file') fd = writer.beginFile(current)
      else writer.place(current)
      if (current.type === 'hardlink') writer.setLinked(current)
    },
    data(piece) {
      if (fd >= 0) writeFully(fd, piece, offset)
      offset += piece.length
    },
    hole(sizeBytes) {
      offset += sizeBytes
      if (fd >= 0) resizeFile(fd, offset)
    },
    entryEnd() {
      if (fd < 0) return
      const file = fd
      fd = -1
      writer.finishFile(current!, file)
    },
  })

  return {
    push(chunk) {
      hash.update(chunk)
      sizeBytes += chunk.length
      if (input.maxBytes !== undefined && sizeBytes > input.maxBytes)
        throw new BuilderError('OCI_LAYER_INVALID', `a layer is larger than ${input.maxBytes} bytes`)
      try {
        reader.push(chunk)
      } catch (error) {
        if (fd >= 0) closeFd(fd)
        fd = -1
        throw error
      }
    },
    finish() {
      reader.end()
      const diffId = `sha256:${hash.digest('hex')}` as DiffID
      if (input.expectedDiffId !== undefined && diffId !== input.expectedDiffId) {
        throw new BuilderError(
          'OCI_DIGEST_MISMATCH',
          `a layer's content has diffID ${diffId}, its image says ${input.expectedDiffId}`,
        )
      }
      writer.finish()
      return { diffId, sizeBytes, entries: builder.finish().entries }
    },
    close() {
      if (fd >= 0) closeFd(fd)
      fd = -1
      writer.close()
    },
  }
}
