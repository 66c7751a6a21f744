import { closeFd, freeBytes, openPath, OpenFlags, resizeFile, writeFully } from '@ts-oci/runtime'
import { dirname } from 'node:path'
import { BuilderError } from '../base/errors.ts'
import { createTarReader, type TarEntry } from './tar-reader.ts'
import type { ContentSource } from '../view/types.ts'

/** An entry of somebody's archive, with its bytes in a file of ours. */
export interface ForeignEntry {
  readonly entry: TarEntry
  readonly content: ContentSource | undefined
}

/**
 * Reads an archive that a user gave (ADD, a context on standard input) to where a tar ends: what follows is no part of
 * it, damaged or not. Contents go one after the other into `contentFile`, which must not exist; holes stay holes.
 * Throws OCI_ARCHIVE_INVALID.
 */
export async function readForeignArchive(
  tar: AsyncIterable<Uint8Array>,
  contentFile: string,
): Promise<readonly ForeignEntry[]> {
  const fd = openPath(contentFile, OpenFlags.write | OpenFlags.create | OpenFlags.exclusive, 0o600)
  try {
    return await readEntries(tar, fd, contentFile)
  } finally {
    closeFd(fd)
  }
}

async function readEntries(tar: AsyncIterable<Uint8Array>, fd: number, file: string): Promise<ForeignEntry[]> {
  const entries: ForeignEntry[] = []
  const budget = createHoleBudget(file)
  let offset = 0
  let hasTrailingHole = false
  const reader = createTarReader(
    {
      entry: (entry) =>
        void entries.push({ entry, content: entry.size > 0 ? { kind: 'range', file, offset } : undefined }),
      data(piece) {
        writeFully(fd, piece, offset)
        offset += piece.length
        hasTrailingHole = false
      },
      hole(sizeBytes) {
        budget(sizeBytes)
        offset += sizeBytes
        hasTrailingHole = true
      },
    },
    'OCI_ARCHIVE_INVALID',
  )
  for await (const chunk of tar) {
    reader.push(chunk)
    if (reader.isFinished) break
  }
  reader.end()
  if (hasTrailingHole) resizeFile(fd, offset)
  return entries
}

/** Holes cost nothing here, but are zeros in the layer: a kilobyte of archive may ask for more than any disk has. */
function createHoleBudget(file: string): (sizeBytes: number) => void {
  let left: number | undefined
  return (sizeBytes) => {
    left = (left ?? freeBytes(dirname(file))) - sizeBytes
    if (left >= 0) return
    throw new BuilderError('OCI_ARCHIVE_INVALID', 'the sparse files of the archive are larger than the disk has room', {
      hint: 'a layer holds the zeros of their holes',
    })
  }
}

/**
 * True when a reader of tars finds a first entry (or a global record): that is what makes an archive of a file. Errors
 * of the source pass.
 */
export async function beginsAsTar(tar: AsyncIterable<Uint8Array>): Promise<boolean> {
  let isFound = false
  const found = (): void => void (isFound = true)
  const reader = createTarReader({ entry: found, other: found, hole: () => undefined })
  for await (const chunk of tar) {
    try {
      reader.push(chunk)
    } catch (error) {
      if (!isFound && !(error instanceof BuilderError)) throw error
      return isFound
    }
    if (isFound || reader.isFinished) break
  }
  return isFound
}
