import type { LayerEntry } from '../view/types.ts'
import { unpackFiles } from './archive-files.ts'
import { createContentReader } from './file-bytes.ts'
import type { WritePlainTreeInput } from './job-types.ts'
import { createLocalTree, type LocalTree } from './local-tree.ts'
import { COPY_BUFFER_BYTES, writeContent } from './materialize.ts'
import { ENTRIES_A_PIECE, runWithPauses, type JobContext, type Pieces } from './pauses.ts'
import { attributesOf } from './tree-writer.ts'

/**
 * Makes entries of a view in a directory that is to be somebody's root: no whiteouts, no markers, nothing that only an overlay
 * reads. Entries are sorted, each below a directory that is listed before it or stands already; `removed` goes first.
 * Throws OCI_CONTEXT_CHANGED, OCI_FILE_OP_FAILED.
 */
export async function writePlainTree(input: WritePlainTreeInput, context?: JobContext): Promise<void> {
  const tree = createLocalTree(input.destination)
  try {
    for (const path of input.removed) tree.remove(path)
    await runWithPauses(makeEntries(tree, input), context)
    for (const archive of input.archives) await unpackFiles(tree, archive, input)
    // Children first: a directory's mode may forbid what is below it, and its time changes with its content.
    for (const entry of input.entries.toReversed())
      if (entry.type === 'directory') tree.setAttributes(entry.path, attributesOf(entry, input))
  } finally {
    tree.close()
  }
}

/** Directories as they are made, without attributes; all else whole. */
function* makeEntries(tree: LocalTree, input: WritePlainTreeInput): Pieces<void> {
  const reader = createContentReader()
  const buffer = Buffer.allocUnsafe(COPY_BUFFER_BYTES)
  try {
    let count = 0
    for (const entry of input.entries) {
      if (++count % ENTRIES_A_PIECE === 0) yield
      if (entry.type === 'directory') tree.makeDirectory(entry.path)
      else if (entry.type !== 'file') makeOther(tree, entry, input)
      else {
        tree.beginFile(entry.path, attributesOf(entry, input))
        if (entry.size > 0) writeContent(entry, tree.fileFd(), reader, buffer)
        tree.endFile()
      }
    }
  } finally {
    reader.close()
  }
}

function makeOther(tree: LocalTree, entry: LayerEntry, input: WritePlainTreeInput): void {
  switch (entry.type) {
    case 'symlink':
      tree.makeSymlink(entry.path, entry.link ?? '')
      return tree.setAttributes(entry.path, attributesOf(entry, input))
    case 'character':
    case 'block':
    case 'fifo':
      if (input.owners !== 'keep' && entry.type !== 'fifo') {
        tree.beginFile(entry.path, attributesOf(entry, input))
        return tree.endFile()
      }
      // One that may not be made here stays in the table.
      return tree.makeNode(
        entry.path,
        { type: entry.type, major: entry.devMajor ?? 0, minor: entry.devMinor ?? 0 },
        attributesOf(entry, input),
      )
    default:
      throw new Error(`a view has no ${entry.type}`)
  }
}
