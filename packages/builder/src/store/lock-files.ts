import { fstatSync, mkdirSync, statSync, unlinkSync } from 'node:fs'
import { dirname } from 'node:path'
import { OpenFlags, closeFd, errnoOf, flockFd, openPath } from '@ts-oci/runtime'
import { onDisk, unusable } from '../base/disk-errors.ts'
import type { BuilderError } from '../base/errors.ts'

/** A lock that is held; `release` may be called twice. */
export interface HeldLock {
  release(): void
}

/**
 * Locks a file, made if it is missing; undefined while somebody else holds it. A holder removes the file when it lets
 * go, so the lock counts only when the path still leads to the file that was locked.
 */
export function tryLockFile(path: string, shared: boolean): HeldLock | undefined {
  const attempt = openAttempt(path, shared)
  try {
    return attempt.tryNow()
  } finally {
    attempt.close()
  }
}

/** The file of a lock, open for as many tries as it takes: a try on an open file is one system call. */
export function openAttempt(path: string, shared: boolean): { tryNow(): HeldLock | undefined; close(): void } {
  let fd = openLockFile(path)
  const close = (): void => {
    if (fd >= 0) closeFd(fd)
    fd = -1
  }
  return {
    close,
    tryNow() {
      for (;;) {
        if (!flockFd(fd, shared ? 'shared' : 'exclusive')) return undefined
        if (isSameFile(fd, path)) {
          const held = heldLock(fd, path, shared)
          fd = -1
          return held
        }
        close()
        fd = openLockFile(path)
      }
    },
  }
}

function openLockFile(path: string): number {
  // A link is not followed, a fifo not waited for.
  const flags = OpenFlags.readWrite | OpenFlags.create | OpenFlags.noFollow | OpenFlags.nonBlocking
  try {
    return openPath(path, flags, 0o600)
  } catch (error) {
    if (NO_FILE.has(errnoOf(error) ?? '')) throw notALock(path, error)
    // Somebody tidied up `run/`.
    mkdirSync(path.slice(0, path.lastIndexOf('/')), { recursive: true, mode: 0o700 })
    if (statSync(path.slice(0, path.lastIndexOf('/')), { throwIfNoEntry: false }) === undefined) throw error
    return openPath(path, flags, 0o600)
  }
}

/** A link, a directory, a socket. */
const NO_FILE = new Set(['ELOOP', 'EISDIR', 'ENXIO'])

function notALock(path: string, cause: unknown): BuilderError {
  const hint = 'find out who put it there; remove it, or set TSBUILD_HOME to another directory'
  return unusable(dirname(dirname(path)), `${path} is not a file`, cause, hint)
}

function heldLock(fd: number, path: string, shared: boolean): HeldLock {
  let isReleased = false
  return {
    release() {
      if (isReleased) return
      isReleased = true
      // Others may share it: only the last one, who can lock it alone, removes the file.
      if ((!shared || flockFd(fd, 'exclusive')) && isSameFile(fd, path)) unlinkSync(path)
      closeFd(fd)
    },
  }
}

function isSameFile(fd: number, path: string): boolean {
  const named = statSync(path, { throwIfNoEntry: false, bigint: true })
  const opened = fstatSync(fd, { bigint: true })
  return named !== undefined && named.ino === opened.ino && named.dev === opened.dev
}

/** Locks a file of our own: who looks whether its owner lives holds it for an instant. */
export function lockUnheld(path: string): HeldLock {
  const pause = new Int32Array(new SharedArrayBuffer(4))
  for (let tries = 0; tries < 5000; tries++) {
    const held = tryLockFile(path, false)
    if (held !== undefined) return held
    Atomics.wait(pause, 0, 0, 1)
  }
  throw new Error(`${path}, a lock of this process, is held by another`)
}

/**
 * Locks a file of our own and proves that the lock works: a second descriptor must not get it (some network file
 * systems answer yes to everybody). @throws OCI_STORE_UNUSABLE
 */
export function lockAndProve(root: string, path: string): HeldLock {
  const held = onDisk(root, () => lockUnheld(path))
  const fd = openPath(path, OpenFlags.readWrite)
  const works = !flockFd(fd, 'exclusive')
  closeFd(fd)
  if (works) return held
  held.release()
  throw unusable(
    root,
    'file locks have no effect on its file system',
    undefined,
    'set TSBUILD_HOME to a directory on a local disk',
  )
}
