import { randomBytes } from 'node:crypto'
import { rename } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { errnoOf } from '@ts-oci/runtime'
import { BuilderError, isTsOciError } from '../base/errors.ts'
import type { ExportDefaults } from './types.ts'

/** `dest` as an absolute path, `-` for standard output (the default when it is no terminal). @throws OCI_OPTION_INVALID */
export function readFileDestination(type: string, dest: string | undefined, defaults: ExportDefaults): string {
  if (dest !== undefined && dest !== '' && dest !== '-') return resolve(defaults.workingDirectory, dest)
  if (!defaults.isTerminal) return '-'
  throw new BuilderError('OCI_OPTION_INVALID', `output type=${type}: refusing to write an archive to the terminal`, {
    hint: `add dest=FILE, or redirect standard output`,
  })
}

/** `dest` of a directory. @throws OCI_OPTION_INVALID */
export function readDirectoryDestination(type: string, dest: string | undefined, defaults: ExportDefaults): string {
  if (dest !== undefined && dest !== '' && dest !== '-') return resolve(defaults.workingDirectory, dest)
  throw new BuilderError('OCI_OPTION_INVALID', `output type=${type}: a directory is needed`, {
    hint: 'add dest=DIRECTORY',
  })
}

/** A hidden name in the same directory: renaming it is atomic. */
export function temporaryBeside(target: string): string {
  return join(
    dirname(target),
    `.${basename(target).slice(0, 100)}.${process.pid}-${randomBytes(4).toString('hex')}.tmp`,
  )
}

/** Renames a directory to a name that nothing has; false when a directory with content has it by now. */
export async function renameIfFree(from: string, to: string): Promise<boolean> {
  try {
    await rename(from, to)
    return true
  } catch (error) {
    const errno = errnoOf(error)
    if (errno === 'ENOTEMPTY' || errno === 'EEXIST') return false
    throw error
  }
}

/** Runs work on a destination; what the disk refuses becomes OCI_EXPORT_FAILED. */
export async function guarded<Result>(dest: string, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work()
  } catch (error) {
    throw exportError(dest, error)
  }
}

/** An error of the system while writing to `dest` as ours; errors of ours pass. */
export function exportError(dest: string, cause: unknown): unknown {
  if (isTsOciError(cause) && cause.code !== 'OCI_RUNTIME_FILES') return cause
  const errno = errnoOf(cause)
  if (errno === undefined) return cause
  return new BuilderError('OCI_EXPORT_FAILED', `cannot write ${dest}: ${WORDS[errno] ?? errno}`, {
    cause,
    hint: HINTS[errno],
    details: { errno },
  })
}

const WORDS: Readonly<Record<string, string>> = {
  ENOSPC: 'no space left on device',
  EDQUOT: 'disk quota exceeded',
  ENOENT: 'no such file or directory',
  EACCES: 'permission denied',
  EPERM: 'operation not permitted',
  EROFS: 'read-only file system',
  EPIPE: 'its reader has gone',
  ENOTDIR: 'a parent is not a directory',
  ENXIO: 'a socket cannot be written to as a file',
}
const HINTS: Readonly<Record<string, string>> = {
  ENOSPC: 'free some space, or name a destination on a larger disk',
  EDQUOT: 'free some space, or name a destination on a larger disk',
  ENOENT: 'make its directory first',
  EACCES: 'name a destination that you may write',
  EPERM: 'name a destination that you may write',
  EROFS: 'name a destination that you may write',
}
