import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { errnoOf } from '@ts-oci/runtime'
import { BuilderError } from '../../base/errors.ts'
import { detectFileCompression } from '../../tar/decompress.ts'
import { inflated } from '../../tar/inflated.ts'
import type { TransportContext } from '../types.ts'
import { openFileDirectory } from './directory-files.ts'
import type { FileSet } from './file-set.ts'

const READ_BYTES = 1 << 20

/** Opens an image archive: a tar, a compressed one, a directory with the same files, a pipe. `-`: standard input. */
export async function openArchive(path: string, context: TransportContext): Promise<FileSet> {
  if (path === '-') return spool(context.stdin(), 'standard input', context)
  const status = await stat(path).catch((error: unknown) => {
    const reason = errnoOf(error) === 'ENOENT' ? 'no such file or directory' : (errnoOf(error) ?? String(error))
    throw new BuilderError('OCI_ARCHIVE_INVALID', `open ${path}: ${reason}`, { cause: error })
  })
  if (status.isDirectory()) return openFileDirectory(path)
  if (status.isFile() && detectFileCompression(path) === 'none') {
    const { openPlainTar } = await import('./plain-file.ts')
    return openPlainTar(path, context.signal)
  }
  return spool(createReadStream(path, { highWaterMark: READ_BYTES }), path, context)
}

/** Takes a stream, compressed or not, to the disk. */
export async function spool(
  source: AsyncIterable<Uint8Array>,
  name: string,
  context: TransportContext,
): Promise<FileSet> {
  const { spoolTar } = await import('./spool.ts')
  const directory = await context.temporaryDirectory('archive')
  return spoolTar(inflated(source, name), name, directory, context.signal)
}
