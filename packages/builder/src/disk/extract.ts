import { createHash } from 'node:crypto'
import { closeFd, openPath, OpenFlags, readFully, type TreeRecords } from '@ts-oci/runtime'
import { BuilderError } from '../base/errors.ts'
import { freeBytes } from '../base/free-bytes.ts'
import type { DiffID } from '../oci/digest.ts'
import { decompress, type ArchiveCompression } from '../tar/decompress.ts'
import type { ExtractInput, ExtractOutput } from './job-types.ts'
import { createLocalTree } from './local-tree.ts'
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
  const tree = createLocalTree(input.destination)
  try {
    const extraction = createExtraction(tree, input)
    await pushArchive(input.file, input.compression, (chunk) => extraction.push(chunk))
    return extraction.finish()
  } finally {
    tree.close()
  }
}

/** Hands the plain bytes of an archive on, piece by piece; a piece is gone when `push` returns. */
export async function pushArchive(
  file: string,
  compression: ArchiveCompression,
  push: (chunk: Uint8Array) => void,
): Promise<void> {
  if (compression === 'none') pushFile(file, push)
  else
    for await (const chunk of decompress(chunksOf(file), compression)) {
      push(chunk)
      freeBytes(chunk)
    }
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
}

/** As {@link extractLayer}, for bytes that come from elsewhere and a tree that may be written elsewhere. */
export function createExtraction(
  tree: TreeRecords,
  input: Omit<ExtractInput, 'file' | 'compression' | 'destination'>,
): Extraction {
  const writer = createTreeWriter(tree, input)
  const hash = createHash('sha256')
  const builder = createTableBuilder()
  let sizeBytes = 0
  let current: LayerEntry | undefined
  let isInFile = false

  const reader = createTarReader({
    entry(raw) {
      current = builder.add(raw, contentInTar(OWN_TAR, raw))
      isInFile = current?.type === 'file'
      if (current === undefined) return
      if (isInFile) writer.beginFile(current)
      else writer.place(current)
      if (current.type === 'hardlink') writer.setLinked(current)
    },
    data(piece) {
      if (isInFile) tree.writeData(piece)
    },
    hole(sizeBytes) {
      if (isInFile) tree.leaveHole(sizeBytes)
    },
    entryEnd() {
      if (isInFile) tree.endFile()
      isInFile = false
    },
  })

  return {
    push(chunk) {
      hash.update(chunk)
      sizeBytes += chunk.length
      if (input.maxBytes !== undefined && sizeBytes > input.maxBytes)
        throw new BuilderError('OCI_LAYER_INVALID', `a layer is larger than ${input.maxBytes} bytes`)
      reader.push(chunk)
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
  }
}
