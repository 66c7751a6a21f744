import {
  closeFd,
  copyContent,
  copyRange,
  openPath,
  openResolved,
  OpenFlags,
  openRoot,
  writeFully,
} from '@ts-oci/runtime'
import { BuilderError } from '../base/errors.ts'
import { fromByteString } from '../base/byte-string.ts'
import { createContentReader, type ContentReader, type ContentSink } from './file-bytes.ts'
import type { MaterializeInput } from './job-types.ts'
import { createLocalTree } from './local-tree.ts'
import { ENTRIES_A_PIECE, runAtOnce, type Pieces } from './pauses.ts'
import { createTreeWriter } from './tree-writer.ts'
import type { LayerEntry } from '../view/types.ts'

/** Files up to this size are read and written through one buffer; larger ones are copied inside the kernel. */
export const COPY_BUFFER_BYTES: number = 1 << 20

/**
 * Writes sorted entries with resolved contents as a tree in overlay form into an empty directory.
 * Throws OCI_CONTEXT_CHANGED, OCI_LAYER_INVALID, OCI_FILE_OP_FAILED.
 */
export function materializeLayer(input: MaterializeInput): void {
  runAtOnce(materializeInPieces(input))
}

/** As {@link materializeLayer}, in pieces. */
export function* materializeInPieces(input: MaterializeInput): Pieces<void> {
  const tree = createLocalTree(input.destination)
  const writer = createTreeWriter(tree, input)
  const reader = createContentReader()
  const buffer = Buffer.allocUnsafe(COPY_BUFFER_BYTES)
  try {
    let count = 0
    for (const entry of input.entries) {
      if (++count % ENTRIES_A_PIECE === 0) yield
      // Its parents are not in the layer, so a tree cannot hold it either.
      if (entry.isTimeOnly === true) continue
      if (entry.type !== 'file' || entry.size === 0) {
        writer.place(entry)
        continue
      }
      writer.beginFile(entry)
      writeContent(entry, tree.fileFd(), reader, buffer)
      tree.endFile()
    }
    writer.finish()
  } finally {
    reader.close()
    tree.close()
  }
}

/** The bytes of an entry to a file that was begun. */
export function writeContent(entry: LayerEntry, fd: number, reader: ContentReader, buffer: Buffer): void {
  const { content } = entry
  // A context file is read by the reader, which sees whether it changed.
  const isCopied =
    entry.size >= COPY_BUFFER_BYTES &&
    ((content?.kind === 'range' && content.map === undefined) || content?.kind === 'tree')
  if (!isCopied) return reader.read(entry, createFileSink(fd, buffer))
  const copied =
    content.kind === 'range'
      ? copyFromFile(content.file, content.offset, entry.size, fd)
      : copyFromTree(content.root, content.path, entry.size, fd)
  if (copied !== entry.size)
    throw new BuilderError(
      'OCI_FILE_OP_FAILED',
      `the file "${fromByteString(entry.path)}" is shorter than its table says`,
    )
}

function createFileSink(fd: number, buffer: Buffer): ContentSink {
  return {
    room: () => ({ buffer, start: 0, end: buffer.length }),
    filled: (bytes) => writeFully(fd, buffer.subarray(0, bytes)),
  }
}

function copyFromFile(path: string, offset: number, size: number, target: number): number {
  const source = openPath(path, OpenFlags.read)
  try {
    return copyRange(source, offset, target, 0, size)
  } finally {
    closeFd(source)
  }
}

function copyFromTree(rootPath: string, path: string, size: number, target: number): number {
  const root = openRoot(rootPath)
  try {
    const source = openResolved(root, path, OpenFlags.read | OpenFlags.nonBlocking, 'beneath')
    try {
      return copyContent(source, target, size)
    } finally {
      closeFd(source)
    }
  } finally {
    closeFd(root)
  }
}
