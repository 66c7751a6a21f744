import { fstatSync, mkdirSync, statSync, unlinkSync } from 'node:fs'
import { dirname } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { OpenFlags, closeFd, errnoOf, flockFd, openPath } from '@ts-oci/runtime'
import { BuilderError } from '../errors.ts'
import { digestOf, digestHex } from '../oci/digest.ts'
import { onDisk, unusable } from './disk-errors.ts'
import type { Locks } from './types.ts'

const FIRST_WAIT_MS = 2
const LONGEST_WAIT_MS = 100

/** A lock that is held; `release` may be called twice. */
export interface HeldLock {
  release(): void
}

/** Takes a lock or answers undefined; never waits. */
export type TryHold = (name: string, shared: boolean) => HeldLock | undefined

/** Locks by name, each a flock(2) on a file of its own below `run/`. The file goes when its last holder lets go. */
export function createLocks(root: string, runDirectory: string): Locks & { readonly tryHold: TryHold } {
  function tryHold(name: string, shared: boolean): HeldLock | undefined {
    return onDisk(root, () => tryLockFile(`${runDirectory}/${lockFileName(name)}`, shared))
  }

  function tryAcquire(name: string, options: { readonly shared?: boolean } = {}): AsyncDisposable | undefined {
    const held = tryHold(name, options.shared === true)
    return held === undefined ? undefined : asDisposable(held)
  }

  async function acquire(
    name: string,
    options: { readonly shared?: boolean; readonly signal?: AbortSignal } = {},
  ): Promise<AsyncDisposable> {
    // Polled: a blocking flock would hold a thread of libuv's few for as long as a stranger's build lasts.
    for (let waitMs = FIRST_WAIT_MS; ; waitMs = Math.min(waitMs * 1.5, LONGEST_WAIT_MS)) {
      if (options.signal?.aborted === true) throw canceled(name)
      const held = tryHold(name, options.shared === true)
      if (held !== undefined) return asDisposable(held)
      await delay(waitMs, undefined, options.signal === undefined ? {} : { signal: options.signal }).catch(
        () => undefined,
      )
    }
  }

  return { tryHold, tryAcquire, acquire }
}

/** Names may hold anything (cache mount ids do): what is not plain goes by its digest. */
function lockFileName(name: string): string {
  return /^[a-z0-9][a-z0-9_-]{0,80}$/.test(name) ? `${name}.lock` : `${digestHex(digestOf(name)).slice(0, 40)}.lock`
}

/**
 * Locks a file, made if it is missing; undefined while somebody else holds it. A holder removes the file when it lets
 * go, so the lock counts only when the path still leads to the file that was locked.
 */
export function tryLockFile(path: string, shared: boolean): HeldLock | undefined {
  for (;;) {
    const fd = openLockFile(path)
    let isHeld = false
    try {
      if (!flockFd(fd, shared ? 'shared' : 'exclusive')) return undefined
      if (!isSameFile(fd, path)) continue
      isHeld = true
      return heldLock(fd, path, shared)
    } finally {
      if (!isHeld) closeFd(fd)
    }
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

function asDisposable(held: HeldLock): AsyncDisposable {
  return {
    [Symbol.asyncDispose]: async () => held.release(),
  }
}

/**
 * Locks a file of our own and proves that the lock works: a second descriptor must not get it (some network file
 * systems answer yes to everybody). @throws OCI_STORE_UNUSABLE
 */
export function lockAndProve(root: string, path: string): HeldLock {
  const held = onDisk(root, () => tryLockFile(path, false))
  if (held === undefined)
    throw unusable(root, 'a lock of this process is held by another', undefined, 'report this as a bug')
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

function canceled(name: string): BuilderError {
  return new BuilderError('OCI_CANCELED', `canceled while waiting for the lock ${JSON.stringify(name.slice(0, 80))}`)
}
