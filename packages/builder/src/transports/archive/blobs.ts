import { createReadStream } from 'node:fs'
import { open } from 'node:fs/promises'
import { BuilderError } from '../../base/errors.ts'
import { digestHex, type Digest } from '../../oci/digest.ts'
import type { Descriptor } from '../../oci/types.ts'
import type { TransportBlob } from '../types.ts'
import type { ArchivedFile, FileSet } from './file-set.ts'

const READ_BYTES = 1 << 20

/** Where a layout has a blob. */
export function blobName(digest: Digest): string {
  return `blobs/sha256/${digestHex(digest)}`
}

/** A document of an archive, whole. @throws OCI_ARCHIVE_INVALID where it is missing or larger than any tool writes it */
export async function readDocument(files: FileSet, name: string, maxBytes: number): Promise<Uint8Array> {
  const file = files.find(name)
  if (file === undefined) throw missing(files, name)
  return readWhole(file, `${name} of ${files.name}`, maxBytes)
}

export async function readWhole(file: ArchivedFile, what: string, maxBytes: number): Promise<Uint8Array> {
  if (file.size > maxBytes)
    throw new BuilderError('OCI_ARCHIVE_INVALID', `${what} has ${file.size} bytes, more than ${maxBytes}`, {
      hint: 'no tool writes such an archive: do not use it',
    })
  const handle = await open(file.path)
  try {
    const bytes = Buffer.alloc(file.size)
    const { bytesRead } = await handle.read(bytes, 0, file.size, file.offset)
    if (bytesRead < file.size) throw new BuilderError('OCI_ARCHIVE_INVALID', `${what} is cut off`)
    return bytes
  } finally {
    await handle.close()
  }
}

export function missing(files: FileSet, name: string): BuilderError {
  return new BuilderError('OCI_ARCHIVE_INVALID', `${files.name} has no ${name}`, {
    hint: 'the archive is cut off or damaged: write or fetch it again',
  })
}

/** A file of an archive as a blob. */
export function archivedBlob(file: ArchivedFile, descriptor: Descriptor): TransportBlob {
  const { path, offset, size, digest } = file
  return {
    descriptor,
    repositories: [],
    open: (signal, from = 0) =>
      from >= size
        ? nothing()
        : createReadStream(path, {
            start: offset + from,
            end: offset + size - 1,
            highWaterMark: READ_BYTES,
            ...(signal === undefined ? {} : { signal }),
          }),
    ...(digest === descriptor.digest ? { take: () => path } : {}),
    ...(offset === 0 && digest !== undefined
      ? { file: async () => ({ path, isVerified: digest === descriptor.digest }) }
      : {}),
  }
}

async function* nothing(): AsyncIterable<Uint8Array> {}
