import { chmodSync, closeSync, lstatSync, openSync, renameSync, rmSync, unlinkSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'
import { BuilderError } from '../base/errors.ts'
import { createDigester, digestOf, type Digest } from '../oci/digest.ts'
import { diskError, onDisk } from '../base/disk-errors.ts'
import { blobPath, type StorePaths } from './paths.ts'
import { isAside } from './prune-files.ts'
import { readStoreFile } from './read-file.ts'
import type { TemporaryNames } from './temporary.ts'
import type { BlobStore, BlobWriter } from './types.ts'

/** Of the store's owner alone, and writable by nobody: content never changes under its digest. */
const BLOB_MODE = 0o400
/** Of what is read whole: manifests, indexes and configs, with room above their own bounds. */
const MAX_DOCUMENT_BYTES = 16 * 1024 * 1024
/** A prune has files aside for milliseconds: this is a second. */
const ASIDE_TRIES = 200

export interface SyncedBlobStore extends BlobStore {
  /** True when a document was put since the last sync: whoever names it has to see it to the disk. */
  isUnsynced(): boolean
  markSynced(): void
}

/** Content by digest. Whatever comes in is written below `tmp/` first, verified, then renamed: nobody sees half of it. */
export function createBlobStore(
  paths: StorePaths,
  temporary: TemporaryNames,
  lease: (digest: Digest) => void,
): SyncedBlobStore {
  const fresh = new Set<Digest>()
  let isUnsynced = false

  function size(digest: Digest): number | undefined {
    // Not a link: what an archive unpacked over the store may point anywhere.
    const stat = lstatSync(blobPath(paths, digest), { throwIfNoEntry: false })
    return stat?.isFile() === true ? stat.size : undefined
  }

  /** One that has the right size and other bytes is written anew. */
  function isStored(digest: Digest, data: Uint8Array): boolean {
    if (size(digest) !== data.length) return false
    return readStoreFile(blobPath(paths, digest), data.length)?.equals(data) === true
  }

  function put(data: Uint8Array): Digest {
    const digest = digestOf(data)
    lease(digest)
    if (isStored(digest, data)) return digest
    const path = temporary.next('blob')
    try {
      const fd = openSync(path, 'wx', BLOB_MODE)
      try {
        writeAll(fd, data)
      } finally {
        closeSync(fd)
      }
      renameSync(path, blobPath(paths, digest))
      isUnsynced = true
    } catch (error) {
      rmSync(path, { force: true })
      throw diskError(paths.root, error)
    }
    return digest
  }

  return {
    has: (digest) => size(digest) !== undefined,
    size,
    path: (digest) => blobPath(paths, digest),
    read(digest) {
      lease(digest)
      const bytes = onDisk(paths.root, () => readDocument(blobPath(paths, digest)))
      if (bytes === undefined) throw notFound(digest)
      const actual = digestOf(bytes)
      if (actual === digest) return bytes
      // It is not what its name says, so nothing is lost; where it stands, whoever has the content would not write it.
      onDisk(paths.root, () => rmSync(blobPath(paths, digest), { force: true }))
      throw damaged(digest, actual)
    },
    put,
    isUnsynced: () => isUnsynced,
    markSynced: () => void (isUnsynced = false),
    createWriter: () => createWriter(paths, temporary.next('blob'), fresh, lease),
    isFresh: (digest) => fresh.has(digest),
    adopt(temporaryPath, digest) {
      // Only what lies below `tmp/` is swept when we die, and can be renamed at all.
      if (!temporaryPath.startsWith(`${paths.tmp}/`) || temporaryPath.includes('/../'))
        throw new Error(`not below ${paths.tmp}: ${temporaryPath}`)
      onDisk(paths.root, () => {
        lease(digest)
        // To put a file in the place of another makes ext4 write it to the disk at once.
        if (fresh.has(digest) && size(digest) === lstatSync(temporaryPath).size) return unlinkSync(temporaryPath)
        chmodSync(temporaryPath, BLOB_MODE)
        renameSync(temporaryPath, blobPath(paths, digest))
      })
      fresh.add(digest)
    },
    delete(digest) {
      fresh.delete(digest)
      // Whatever it is: what has the name of a blob and is no file would be in the way of one.
      onDisk(paths.root, () => rmSync(blobPath(paths, digest), { force: true, recursive: true }))
    },
  }
}

/** Looks again while a prune, which has not seen our lease yet, has it aside. */
function readDocument(path: string): Buffer | undefined {
  for (let tries = 0; ; tries++) {
    const bytes = readStoreFile(path, MAX_DOCUMENT_BYTES)
    if (bytes !== undefined || tries === ASIDE_TRIES) return bytes
    if (!isAside(path)) return readStoreFile(path, MAX_DOCUMENT_BYTES)
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5)
  }
}

function damaged(digest: Digest, actual: Digest): BuilderError {
  return new BuilderError('OCI_DIGEST_MISMATCH', `blob ${digest} of the store is damaged: its digest is ${actual}`, {
    hint: 'pull or build the image again',
    details: { expected: digest, actual },
  })
}

/** The error for a blob that is missing. */
export function notFound(digest: Digest, cause?: unknown): BuilderError {
  return new BuilderError('OCI_BLOB_NOT_FOUND', `blob ${digest} is not in the store`, {
    cause,
    hint: 'pull or build the image again',
  })
}

/** A failed write removes the file at once, so a full disk is no fuller than before. */
function createWriter(
  paths: StorePaths,
  path: string,
  fresh: Set<Digest>,
  lease: (digest: Digest) => void,
): BlobWriter {
  const digester = createDigester()
  let fd = onDisk(paths.root, () => openSync(path, 'wx', BLOB_MODE))
  let sizeBytes = 0

  function close(): void {
    if (fd >= 0) closeSync(fd)
    fd = -1
  }

  function drop(): void {
    close()
    rmSync(path, { force: true })
  }

  return {
    path,
    write(chunk) {
      if (fd < 0) throw new Error('the blob writer is closed')
      try {
        writeAll(fd, chunk)
      } catch (error) {
        drop()
        throw diskError(paths.root, error)
      }
      digester.update(chunk)
      sizeBytes += chunk.length
    },
    async commit(expected) {
      const digest = digester.digest()
      if (expected !== undefined && (digest !== expected.digest || (expected.size ?? sizeBytes) !== sizeBytes)) {
        drop()
        throw mismatch(expected, { digest, sizeBytes })
      }
      try {
        close()
        lease(digest)
        renameSync(path, blobPath(paths, digest))
        fresh.add(digest)
      } catch (error) {
        drop()
        throw diskError(paths.root, error)
      }
      return { digest, sizeBytes }
    },
    async abort() {
      drop()
    },
  }
}

/** The error of content that is not what was announced. */
export function mismatch(
  expected: { readonly digest: Digest; readonly size?: number },
  actual: { readonly digest: Digest; readonly sizeBytes: number },
): BuilderError {
  const isCut = expected.size !== undefined && actual.sizeBytes < expected.size
  const what = isCut
    ? `blob ${expected.digest} is cut off: ${actual.sizeBytes} of ${expected.size} bytes`
    : `blob ${expected.digest} has digest ${actual.digest} and ${actual.sizeBytes} bytes`
  return new BuilderError('OCI_DIGEST_MISMATCH', what, {
    hint: 'the content was damaged on its way or at its source; try again, else ask whoever serves it',
    details: {
      expected: expected.digest,
      actual: actual.digest,
      expectedSize: expected.size,
      actualSize: actual.sizeBytes,
    },
  })
}

function writeAll(fd: number, data: Uint8Array): void {
  for (let done = 0; done < data.length;) done += writeSync(fd, data, done, data.length - done)
}

/** @internal Writes a file whole under a temporary name and renames it: readers see the old or the new one. */
export function replaceFile(path: string, temporaryPath: string, data: Uint8Array): void {
  try {
    const fd = openSync(temporaryPath, 'wx', 0o600)
    try {
      writeAll(fd, data)
    } finally {
      closeSync(fd)
    }
    renameSync(temporaryPath, path)
  } catch (error) {
    try {
      unlinkSync(temporaryPath)
    } catch {
      // It was never made, or is renamed already.
    }
    throw diskError(dirname(path), error)
  }
}
