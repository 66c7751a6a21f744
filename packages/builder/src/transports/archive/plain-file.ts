import { open } from 'node:fs/promises'
import { BuilderError } from '../../base/errors.ts'
import { createTarReader } from '../../tar/tar-reader.ts'
import { createEntries } from './entries.ts'
import type { FileSet } from './file-set.ts'

const READ_BYTES = 256 * 1024

/** The files of a plain tar on the disk: headers are read, contents are passed over and stay where they are. */
export async function openPlainTar(path: string, signal: AbortSignal): Promise<FileSet> {
  const handle = await open(path)
  try {
    const { size } = await handle.stat()
    const entries = createEntries(path)
    const reader = createTarReader(
      { entry: (entry) => entries.add(entry, path, entry.dataOffset) },
      'OCI_ARCHIVE_INVALID',
    )
    const buffer = Buffer.allocUnsafe(READ_BYTES)
    for (let at = 0; at < size && !reader.isFinished;) {
      signal.throwIfAborted()
      // Of small entries the next headers are in the same piece: to seek for each costs more than to read on.
      const room = Math.min(reader.skippable, size - at)
      if (room >= READ_BYTES) {
        reader.skip(room)
        at += room
        continue
      }
      const { bytesRead } = await handle.read(buffer, 0, READ_BYTES, at)
      if (bytesRead === 0) break
      reader.push(buffer.subarray(0, bytesRead))
      at += bytesRead
    }
    reader.end()
    entries.checkWithin(size)
    return { name: path, find: entries.find, [Symbol.asyncDispose]: async () => undefined }
  } catch (error) {
    if (error instanceof BuilderError && error.code === 'OCI_ARCHIVE_INVALID')
      throw new BuilderError('OCI_ARCHIVE_INVALID', `${path}: ${error.message}`, { hint: error.hint, cause: error })
    throw error
  } finally {
    await handle.close()
  }
}
