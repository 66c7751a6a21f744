import { lstatSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  closeFd,
  errnoOf,
  OpenFlags,
  openResolvedIfPresent,
  openRoot,
  readFully,
  statFd,
  withFd,
} from '@ts-oci/runtime'
import { toByteString } from '../base/byte-string.ts'
import { BuilderError } from '../base/errors.ts'

/** What lies under a name: bytes of a file, nothing, a directory, or a pipe, socket or device (`special`). */
export type FoundFile =
  | { readonly kind: 'file'; readonly bytes: Uint8Array }
  | { readonly kind: 'absent' | 'directory' | 'special' }

/** A Dockerfile or an ignore file that is larger is none. */
export const MAX_BUILD_FILE_BYTES = 16_777_216

/**
 * Reads a Dockerfile or an ignore file as BuildKit sees it, which gets no more of this machine than the directory: links
 * are followed as if the directory were the root, so that none leads out of it. A device, a pipe or a socket is never
 * opened for good: to read it could block, or act on the machine.
 * @throws BuilderError OCI_CONTEXT_INVALID when it is too large or links lead round in a circle
 */
export function readBuildFile(directory: string, name: string): FoundFile {
  if (process.platform !== 'linux') return readPlain(join(directory, name), name)
  try {
    return withFd(openRoot(directory), (root) => {
      const fd = openResolvedIfPresent(root, toByteString(name), OpenFlags.read | OpenFlags.nonBlocking, 'in-root')
      return fd === undefined ? { kind: 'absent' } : readOpen(fd, name)
    })
  } catch (error) {
    return explain(error, name)
  }
}

function readOpen(fd: number, name: string): FoundFile {
  try {
    const { type, size } = statFd(fd)
    if (type !== 'file') return { kind: type === 'directory' ? 'directory' : 'special' }
    if (size > MAX_BUILD_FILE_BYTES) throw tooLarge(name)
    // One byte more, to see whether it grew meanwhile; files of /proc and the like say that they have none.
    const buffer = Buffer.alloc((size === 0 ? MAX_BUILD_FILE_BYTES : size) + 1)
    const length = readFully(fd, buffer, 0, buffer.length, null)
    if (length > MAX_BUILD_FILE_BYTES) throw tooLarge(name)
    return { kind: 'file', bytes: buffer.subarray(0, length) }
  } finally {
    closeFd(fd)
  }
}

export function tooLarge(name: string): BuilderError {
  return new BuilderError('OCI_CONTEXT_INVALID', `${name} is larger than ${MAX_BUILD_FILE_BYTES} bytes`)
}

const REASONS: Readonly<Record<string, string>> = {
  ELOOP: 'too many links',
  EACCES: 'permission denied',
  ENAMETOOLONG: 'file name too long',
}

function explain(error: unknown, name: string): FoundFile {
  const errno = errnoOf(error) ?? ''
  // What a link names as a directory is none; the directory itself is gone.
  if (errno === 'ENOTDIR' || errno === 'ENOENT') return { kind: 'absent' }
  // A socket, or a device without a driver.
  if (errno === 'ENXIO' || errno === 'ENODEV') return { kind: 'special' }
  if (!Object.hasOwn(REASONS, errno)) throw error
  throw new BuilderError('OCI_CONTEXT_INVALID', `open ${name}: ${REASONS[errno]}`, { cause: error })
}

// Elsewhere than on Linux nothing is built, but files are checked.
function readPlain(path: string, name: string): FoundFile {
  const status = lstatSync(path, { throwIfNoEntry: false })
  if (status === undefined) return { kind: 'absent' }
  if (!status.isFile()) return { kind: status.isDirectory() ? 'directory' : 'special' }
  if (status.size > MAX_BUILD_FILE_BYTES) throw tooLarge(name)
  return { kind: 'file', bytes: readFileSync(path) }
}

/** The text of such a file. */
export function decode(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8')
}
