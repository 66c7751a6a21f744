import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { closeFd, openPath, OpenFlags, readFully, writeFully } from '@ts-oci/runtime'
import { BuilderError } from '../errors.ts'
import type { DiffID } from '../oci/digest.ts'
import { decompress } from './decompress.ts'
import type { ExtractInput, ExtractOutput } from './job-types.ts'
import { createTableBuilder, OWN_TAR } from './table.ts'
import { createTarReader } from './tar-reader.ts'
import { createTreeWriter } from './tree-writer.ts'
import type { LayerEntry } from './types.ts'

const CHUNK_BYTES = 1 << 20

/**
 * Unpacks a layer into an empty directory in overlay form, and makes its table and diffID in the same pass.
 * Throws OCI_LAYER_INVALID, OCI_DIGEST_MISMATCH; the directory is half written then.
 */
export async function extractLayer(input: ExtractInput): Promise<ExtractOutput> {
  const extraction = createExtraction(input)
  try {
    if (input.compression === 'none') pushFile(input.file, extraction.push)
    else
      for await (const chunk of decompress(
        createReadStream(input.file, { highWaterMark: CHUNK_BYTES }),
        input.compression,
      ))
        extraction.push(chunk)
    return extraction.finish()
  } finally {
    extraction.close()
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
export function createExtraction(input: Omit<ExtractInput, 'file' | 'compression'>): Extraction {
  const writer = createTreeWriter(input.destination, input)
  const hash = createHash('sha256')
  const builder = createTableBuilder()
  let sizeBytes = 0
  let current: LayerEntry | undefined
  let fd = -1

  const reader = createTarReader({
    entry(raw) {
      current = builder.add(raw, { kind: 'range', file: OWN_TAR, offset: raw.dataOffset })
      if (current === undefined) return
      if (current.type === 'file') fd = writer.beginFile(current)
      else writer.place(current)
    },
    data(piece) {
      if (fd >= 0) writeFully(fd, piece)
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
