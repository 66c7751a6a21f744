import { ftruncateSync, readSync, statfsSync, writeSync } from 'node:fs'
import { addon, check, checkPresent, lastStat, resolutionFlags } from './call.ts'
import { errnoOf } from './errors.ts'
import { RuntimeError } from '../errors.ts'
import type { FileStat, PathResolution } from './types.ts'

/**
 * Reads up to `length` bytes at `position` until the file ends; answers how many came.
 * Less than `length` means that the file is shorter.
 */
export function readFully(
  fd: number,
  target: Uint8Array,
  offset: number,
  length: number,
  position: number | null,
): number {
  let done = 0
  while (done < length) {
    const count = guard('read', fd, () =>
      readSync(fd, target, offset + done, length - done, position === null ? null : position + done),
    )
    if (count === 0) break
    done += count
  }
  return done
}

/** Writes all bytes, at `position` or (null) where the descriptor stands. */
export function writeFully(fd: number, bytes: Uint8Array, position: number | null = null): void {
  let done = 0
  while (done < bytes.length) {
    done += guard('write', fd, () =>
      writeSync(fd, bytes, done, bytes.length - done, position === null ? null : position + done),
    )
  }
}

/** Makes a file so long; what is new reads as zeros and takes no room. */
export function resizeFile(fd: number, sizeBytes: number): void {
  guard('ftruncate', fd, () => {
    ftruncateSync(fd, sizeBytes)
    return sizeBytes
  })
}

/** How many bytes a user without privilege may still write to the file system that holds a path. */
export function freeBytes(path: string): number {
  const { bavail, bsize } = statfsSync(path)
  return bavail * bsize
}

/** How many bytes were read, and what the descriptor's status said before. */
export interface ReadFile {
  readonly bytesRead: number
  readonly stat: FileStat
}

/**
 * Opens a regular file by path, asks its status, reads up to `length` bytes into `target` and closes it: one call where
 * `node:fs` needs four. `bytesRead` counts one byte past `stat.size` if the file has grown and the room is there, so
 * give `size + 1`. Anything but a regular file is EINVAL (ELOOP for a symlink under `beneath`); undefined when nothing is there.
 */
export function readFileInto(
  directoryFd: number,
  path: string,
  target: Uint8Array,
  offset: number,
  length: number,
  resolution: PathResolution = 'beneath',
): ReadFile | undefined {
  const bytesRead = checkPresent(
    addon().readFileInto(directoryFd, path, resolutionFlags(resolution), target, offset, length),
    'read',
    path,
  )
  return bytesRead === undefined ? undefined : { bytesRead, stat: lastStat() }
}

/**
 * As `readFileInto` without the status object: the number of bytes read, or a negative errno. For loops over many files.
 */
export function readFileIntoRaw(
  directoryFd: number,
  path: string,
  target: Uint8Array,
  offset: number,
  length: number,
): number {
  return addon().readFileInto(directoryFd, path, resolutionFlags('beneath'), target, offset, length)
}

/** A thread that is to end does so between two calls: none may last as long as a huge file takes. */
const COPY_BYTES = 64 * 1024 * 1024

/**
 * Copies `length` bytes between descriptors inside the kernel (copy_file_range, else read and write); answers how many.
 * Less than `length` means that the source is shorter.
 */
export function copyRange(fromFd: number, fromOffset: number, toFd: number, toOffset: number, length: number): number {
  let done = 0
  while (done < length) {
    const wanted = Math.min(length - done, COPY_BYTES)
    const copied = check(
      addon().copyRange(fromFd, fromOffset + done, toFd, toOffset + done, wanted),
      'copy_file_range',
      `fd ${fromFd}`,
    )
    done += copied
    if (copied < wanted) break
  }
  return done
}

/** Copies a whole file's content: as a clone that shares its blocks where the file system can, else byte by byte. */
export function copyContent(fromFd: number, toFd: number, sizeBytes: number): number {
  if (addon().cloneFile(fromFd, toFd) === 0) return sizeBytes
  return copyRange(fromFd, 0, toFd, 0, sizeBytes)
}

export function fsyncFd(fd: number): void {
  check(addon().fsync(fd), 'fsync', `fd ${fd}`)
}

/** Writes everything of the file system that holds `fd` to its disk. */
export function syncFileSystem(fd: number): void {
  check(addon().syncfs(fd), 'syncfs', `fd ${fd}`)
}

/**
 * Takes or gives up an advisory lock (flock(2)) of the open file. With `wait: false` (default) answers false when
 * somebody else holds it; `wait: true` blocks the thread. The lock ends with the last copy of the descriptor.
 */
export function flockFd(
  fd: number,
  mode: 'shared' | 'exclusive' | 'unlock',
  options: { readonly wait?: boolean } = {},
): boolean {
  const operations = { shared: 1, exclusive: 2, unlock: 8 } as const
  const nonBlocking = 4
  const EAGAIN = 11
  const result = addon().flock(fd, operations[mode] | (options.wait === true ? 0 : nonBlocking))
  if (result === -EAGAIN) return false
  check(result, 'flock', `fd ${fd}`)
  return true
}

/** `node:fs` throws its own errors: they become ours, so that a caller has one kind to catch. */
function guard(syscall: string, fd: number, call: () => number): number {
  try {
    return call()
  } catch (cause) {
    const errno = errnoOf(cause)
    if (errno === undefined) throw cause
    throw new RuntimeError('OCI_RUNTIME_FILES', `${syscall} fd ${fd}: ${errno}`, {
      cause,
      details: { errno, syscall },
    })
  }
}

/** Asks for a pipe that holds so much. Left as it is where the user may not have more (`fs.pipe-user-pages-soft`). */
export function growPipe(fd: number, sizeBytes: number): void {
  addon().growPipe(fd, sizeBytes)
}
