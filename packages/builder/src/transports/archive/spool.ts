import { closeSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { freeBytes, writeFully } from '@ts-oci/runtime'
import { diskError } from '../../base/disk-errors.ts'
import { BuilderError } from '../../base/errors.ts'
import { fromByteString } from '../../base/byte-string.ts'
import { createDigester, type Digester } from '../../oci/digest.ts'
import type { TemporaryDirectory } from '../../store/types.ts'
import { createTarReader } from '../../tar/tar-reader.ts'
import { createEntries } from './entries.ts'
import type { FileSet } from './file-set.ts'

/**
 * The files of a tar that comes once, each in a file of its own below `directory`, hashed on its way: who has use for one
 * moves it away, the rest goes with the directory. Memory does not follow the size of what comes; the disk does, and what
 * would not fit is refused before it is written.
 */
export async function spoolTar(
  tar: AsyncIterable<Uint8Array>,
  name: string,
  directory: TemporaryDirectory,
  signal: AbortSignal,
): Promise<FileSet> {
  const entries = createEntries(name)
  const writer = createFileWriter(directory.path)
  let count = 0
  const reader = createTarReader(
    {
      entry(entry) {
        const path = join(directory.path, String(++count))
        if (!entries.add(entry, path, 0)) return
        checkRoom(directory.path, entry.size, fromByteString(entry.name))
        writer.begin(path)
      },
      data: writer.write,
      entryEnd() {
        const digester = writer.end()
        if (digester !== undefined) entries.setDigest(digester.digest())
      },
    },
    'OCI_ARCHIVE_INVALID',
  )
  try {
    for await (const chunk of tar) {
      signal.throwIfAborted()
      reader.push(chunk)
      if (reader.isFinished) break
    }
    reader.end()
    if (count === 0) throw new BuilderError('OCI_ARCHIVE_INVALID', `${name} is empty, or no tar`)
    return { name, find: entries.find, [Symbol.asyncDispose]: () => directory[Symbol.asyncDispose]() }
  } catch (error) {
    await directory[Symbol.asyncDispose]()
    throw error
  } finally {
    writer.end()
  }
}

function checkRoom(directory: string, sizeBytes: number, name: string): void {
  const free = freeBytes(directory)
  if (sizeBytes <= free) return
  throw new BuilderError(
    'OCI_STORE_FULL',
    `${name} of the archive has ${sizeBytes} bytes, the disk has room for ${free}`,
    {
      hint: 'free some space: tsbuild prune removes the build cache',
    },
  )
}

interface FileWriter {
  begin(path: string): void
  write(piece: Uint8Array): void
  end(): Digester | undefined
}

function createFileWriter(root: string): FileWriter {
  let fd = -1
  let digester: Digester | undefined
  return {
    begin(path) {
      fd = openSync(path, 'wx', 0o600)
      digester = createDigester()
    },
    write(piece) {
      if (fd < 0) return
      try {
        writeFully(fd, piece)
      } catch (error) {
        throw diskError(root, error)
      }
      digester?.update(piece)
    },
    end() {
      if (fd >= 0) closeSync(fd)
      fd = -1
      const ended = digester
      digester = undefined
      return ended
    },
  }
}
