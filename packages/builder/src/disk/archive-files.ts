import { createHash } from 'node:crypto'
import { closeFd, copyContent, createDirectoryCache, openAt, OpenFlags, openRoot } from '@ts-oci/runtime'
import { BuilderError } from '../base/errors.ts'
import { fromByteString, type ByteString } from '../base/byte-string.ts'
import { createTableBuilder, OWN_TAR } from '../tar/table.ts'
import { contentInTar } from '../tar/tar-entry.ts'
import { createTarReader } from '../tar/tar-reader.ts'
import type { LayerEntry } from '../view/types.ts'
import { pushArchive } from './extract.ts'
import type { LayerArchive, WritePlainTreeInput } from './job-types.ts'
import type { LocalTree } from './local-tree.ts'
import { attributesOf } from './tree-writer.ts'

/**
 * Writes the files of which a layer's blob has the bytes, in one pass over it: nothing is inflated to the disk first. What the
 * view does not show of the layer is passed over. Their directories stand.
 * Throws OCI_LAYER_INVALID, OCI_DIGEST_MISMATCH.
 */
export async function unpackFiles(tree: LocalTree, archive: LayerArchive, input: WritePlainTreeInput): Promise<void> {
  const wanted = byPathInArchive(archive.entries)
  const written = new Set<ByteString>()
  const hash = createHash('sha256')
  const builder = createTableBuilder()
  let isWriting = false
  const reader = createTarReader({
    entry(raw) {
      const entry = builder.add(raw, contentInTar(OWN_TAR, raw))
      const target = entry?.type === 'file' ? wanted.get(entry.path)?.[0] : undefined
      isWriting = target !== undefined
      if (entry === undefined || target === undefined) return
      // A name that comes twice is the last one of them.
      if (written.has(entry.path)) tree.remove(target.path)
      written.add(entry.path)
      tree.beginFile(target.path, attributesOf(target, input))
    },
    data: (piece) => void (isWriting && tree.writeData(piece)),
    hole: (sizeBytes) => void (isWriting && tree.leaveHole(sizeBytes)),
    entryEnd() {
      if (isWriting) tree.endFile()
      isWriting = false
    },
  })
  await pushArchive(archive.file, archive.compression, (chunk) => {
    hash.update(chunk)
    reader.push(chunk)
  })
  reader.end()
  const diffId = `sha256:${hash.digest('hex')}`
  if (diffId !== archive.diffId)
    throw new BuilderError(
      'OCI_DIGEST_MISMATCH',
      `a layer's content has diffID ${diffId}, its image says ${archive.diffId}`,
    )
  for (const [path, entries] of wanted) {
    if (!written.has(path)) throw missing(path)
    copyToOthers(tree, entries, input)
  }
}

/** Several names of one file are files of their own: the first is read for the others. */
function copyToOthers(tree: LocalTree, entries: readonly LayerEntry[], input: WritePlainTreeInput): void {
  const [first, ...others] = entries
  if (first === undefined || others.length === 0) return
  const root = openRoot(input.destination)
  const cache = createDirectoryCache(root, 'beneath')
  try {
    const { fd, name } = cache.parent(first.path)
    const source = openAt(fd, name, OpenFlags.read | OpenFlags.noFollow | OpenFlags.nonBlocking)
    try {
      for (const entry of others) {
        tree.beginFile(entry.path, attributesOf(entry, input))
        copyContent(source, tree.fileFd(), entry.size)
        tree.endFile()
      }
    } finally {
      closeFd(source)
    }
  } finally {
    cache.close()
    closeFd(root)
  }
}

function byPathInArchive(entries: readonly LayerEntry[]): Map<ByteString, LayerEntry[]> {
  const byPath = new Map<ByteString, LayerEntry[]>()
  for (const entry of entries) {
    if (entry.content?.kind !== 'layer') throw new Error('not a file of a layer')
    const known = byPath.get(entry.content.path)
    if (known === undefined) byPath.set(entry.content.path, [entry])
    else known.push(entry)
  }
  return byPath
}

function missing(path: ByteString): BuilderError {
  return new BuilderError(
    'OCI_LAYER_INVALID',
    `the file "${fromByteString(path)}" is not in the layer that its table says`,
  )
}
