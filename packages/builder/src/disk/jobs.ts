import {
  chmodAt,
  chownAt,
  closeFd,
  errnoOf,
  mkdirAt,
  openRoot,
  renameAt,
  removeTree as removeTreeAt,
  setXattr,
} from '@ts-oci/runtime'
import { basename, dirname } from 'node:path'
import { toByteString } from '../base/byte-string.ts'
import { BuilderError } from '../base/errors.ts'
import { createDigester, type Digest } from '../oci/digest.ts'
import { compareTree, recordTree, splitLinks } from './compare-tree.ts'
import { contentChunks, isSameContent } from './file-bytes.ts'
import { makeEntry } from '../view/entry.ts'
import { extractLayer } from './extract.ts'
import type { LayerJobs, SizedSource } from './job-types.ts'
import { materializeInPieces } from './materialize.ts'
import { ownerXattr } from './owner-record.ts'
import { packInPieces } from './pack.ts'
import { packTreeInPieces } from './pack-tree.ts'
import { runWithPauses } from './pauses.ts'
import { writePlainTree } from './plain-tree.ts'
import type { LayerEntry } from '../view/types.ts'
import { walkUpper } from './upper.ts'

function asEntry(file: SizedSource): LayerEntry {
  const path = 'path' in file.source ? file.source.path : ''
  return makeEntry({ path, type: 'file', size: file.size, content: file.source })
}

function hashFile(file: SizedSource): Digest {
  const digester = createDigester()
  if (file.head !== undefined) digester.update(file.head)
  for (const chunk of contentChunks(asEntry(file), { isReused: true })) digester.update(chunk)
  return digester.digest()
}

/** The jobs by name, for whoever runs them: this process as root, else a child inside the executor. */
export const handlers: LayerJobs = {
  pack: async ({ entries, destination }, context) => {
    const { diffId, sizeBytes, table } = await runWithPauses(packInPieces(entries, destination), context)
    return { diffId, sizeBytes, entries: table.entries }
  },
  packTree: async (input, context) => runWithPauses(packTreeInPieces(input), context),
  extract: extractLayer,
  materialize: async (input, context) => runWithPauses(materializeInPieces(input), context),
  walkUpper: async (input) => walkUpper(input),
  writePlainTree,
  recordTree: async (input) => recordTree(input),
  compareTree: async (input) => compareTree(input),
  splitLinks: async (input) => splitLinks(input),
  hashFiles: async ({ sources }) => sources.map(hashFile),
  compareFiles: async ({ pairs }) => pairs.map(({ a, b }) => isSameContent(asEntry(a), asEntry(b))),
  readFile: async ({ source, size, maxBytes }) => {
    if (size > maxBytes)
      throw new BuilderError(
        'OCI_LAYER_INVALID',
        `a file of ${size} bytes is larger than the ${maxBytes} that are read of it`,
      )
    return Buffer.concat([...contentChunks(asEntry({ source, size }))])
  },
  readPart: async ({ source, size, start, end }) => {
    const part = Buffer.allocUnsafe(end - start)
    let at = 0
    for (const piece of contentChunks(asEntry({ source, size }), { start, end, isReused: true }))
      at += piece.copy(part, at)
    return part
  },
  makeDirectory: async ({ path, mode, uid, gid, owners }) => {
    const parent = openRoot(dirname(path))
    const name = toByteString(basename(path))
    try {
      mkdirAt(parent, name, 0o700)
      const record = owners === 'record' ? ownerXattr({ type: 'directory', uid, gid }) : undefined
      if (record !== undefined) setXattr(parent, name, ...record)
      else if (uid !== 0 || gid !== 0) chownAt(parent, name, uid, gid)
      // Exactly, whatever the umask is.
      chmodAt(parent, name, mode)
      return { created: true }
    } catch (error) {
      if (errnoOf(error) === 'EEXIST') return { created: false }
      throw error
    } finally {
      closeFd(parent)
    }
  },
  rename: async ({ from, to }) => {
    const source = openRoot(dirname(from))
    try {
      const target = openRoot(dirname(to))
      try {
        renameAt(source, toByteString(basename(from)), target, toByteString(basename(to)))
      } finally {
        closeFd(target)
      }
    } finally {
      closeFd(source)
    }
  },
  changeOwner: async ({ path, uid, gid }) => {
    const parent = openRoot(dirname(path))
    try {
      chownAt(parent, toByteString(basename(path)), uid, gid)
    } finally {
      closeFd(parent)
    }
  },
  removeTree: async ({ path }) => {
    const parent = openRoot(dirname(path))
    try {
      removeTreeAt(parent, toByteString(basename(path)))
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw error
    } finally {
      closeFd(parent)
    }
  },
}
