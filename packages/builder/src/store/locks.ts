import { fstatSync, mkdirSync, statSync, unlinkSync } from 'node:fs'
import { dirname } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { OpenFlags, closeFd, errnoOf, flockFd, openPath } from '@ts-oci/runtime'
import { BuilderError } from '../base/errors.ts'
import { digestOf, digestHex } from '../oci/digest.ts'
import { onDisk, unusable } from '../base/disk-errors.ts'
import { assertLockOrder, whileHolding, type LockKind } from './lock-order.ts'
import type { HoldOptions, LockWish, Locks, LockOptions } from './types.ts'

const FIRST_WAIT_MS = 1
/** A try is one system call: of 60 that wait, each adds a thousandth of a core, and who is next starts within this. */
const LONGEST_WAIT_MS = 25

/** A lock that is held; `release` may be called twice. */
export interface HeldLock {
  release(): void
}

/** Takes a lock or answers undefined; never waits. */
export type TryHold = (name: string, shared: boolean) => HeldLock | undefined

/** Locks by name, each a flock(2) on a file of its own below `run/`. The file goes when its last holder lets go. */
export function createLocks(root: string, runDirectory: string): Locks & { readonly tryHold: TryHold } {
  const pathOf = (name: string): string => `${runDirectory}/${lockFileName(name)}`

  function tryHold(name: string, shared: boolean): HeldLock | undefined {
    return onDisk(root, () => tryLockFile(pathOf(name), shared))
  }

  function tryAcquire(name: string, options: { readonly shared?: boolean } = {}): AsyncDisposable | undefined {
    const held = tryHold(name, options.shared === true)
    return held === undefined ? undefined : asDisposable(held)
  }

  // Polled: a blocking flock would hold a thread of libuv's few for as long as a stranger's build lasts.
  async function wait(name: string, { shared, signal }: LockOptions): Promise<HeldLock> {
    const attempt = onDisk(root, () => openAttempt(pathOf(name), shared === true))
    try {
      for (let waitMs = FIRST_WAIT_MS; ; waitMs = Math.min(waitMs * 1.5, LONGEST_WAIT_MS)) {
        if (signal?.aborted === true) throw canceled(name)
        const held = onDisk(root, () => attempt.tryNow())
        if (held !== undefined) return held
        await delay(waitMs, undefined, signal === undefined ? {} : { signal }).catch(() => undefined)
      }
    } finally {
      attempt.close()
    }
  }

  // Who waits for a lock alone is passed by nobody who comes later and would share it with those that have it.
  async function waitInTurn(name: string, options: LockOptions): Promise<HeldLock> {
    const turn = await wait(`${name} turn`, { ...options, shared: false })
    try {
      return await wait(name, options)
    } finally {
      turn.release()
    }
  }

  function tryInTurn(name: string, shared: boolean): HeldLock | undefined {
    const turn = tryHold(`${name} turn`, false)
    const lock = turn && tryHold(name, shared)
    turn?.release()
    return lock
  }

  function tryAll(kind: LockKind, wishes: readonly LockWish[]): HeldLock[] | undefined {
    const held: HeldLock[] = []
    const take = isShared(kind) ? tryInTurn : tryHold
    try {
      for (const { name, shared } of wishes) {
        const lock = take(`${kind}-${name}`, shared === true)
        if (lock === undefined) break
        held.push(lock)
      }
    } catch (error) {
      releaseAll(held)
      throw error
    }
    if (held.length === wishes.length) return held
    releaseAll(held)
    return undefined
  }

  async function waitForAll(
    kind: LockKind,
    wishes: readonly LockWish[],
    signal: AbortSignal | undefined,
  ): Promise<HeldLock[]> {
    const held: HeldLock[] = []
    try {
      const take = isShared(kind) ? waitInTurn : wait
      for (const { name, shared } of wishes) held.push(await take(`${kind}-${name}`, { shared, signal }))
      return held
    } catch (error) {
      releaseAll(held)
      throw error
    }
  }

  async function hold<T>(
    kind: LockKind,
    wishes: readonly LockWish[],
    { signal, whileWaiting = (wait) => wait() }: HoldOptions,
    work: () => Promise<T>,
  ): Promise<T> {
    const ordered = inOrder(wishes)
    const names = ordered.map(({ name }) => name)
    for (const name of names) assertLockOrder(root, kind, name)
    if (signal?.aborted === true) throw canceled(names.join())
    let held = tryAll(kind, ordered)
    try {
      // Who lends a turn while waiting may fail to get another one, with the locks in hand.
      if (held === undefined) await whileWaiting(async () => (held = await waitForAll(kind, ordered, signal)))
      return await whileHolding(root, kind, names, work)
    } finally {
      releaseAll(held ?? [])
    }
  }

  function tryHoldAll(kind: LockKind, wishes: readonly LockWish[]): AsyncDisposable | undefined {
    const held = tryAll(kind, inOrder(wishes))
    return held && { [Symbol.asyncDispose]: async () => releaseAll(held) }
  }

  return {
    tryHold,
    tryAcquire,
    acquire: async (name, options = {}) => asDisposable(await wait(name, options)),
    hold,
    tryHoldAll,
  }
}

/** Kinds of which a lock is ever shared: only there can somebody be passed for ever. */
function isShared(kind: LockKind): boolean {
  return kind === 'cache-mount'
}

function releaseAll(held: readonly HeldLock[]): void {
  for (const lock of held.toReversed()) lock.release()
}

/** Each name once, in the strictest of the ways in which it is wanted; all who want several take them in this order. */
function inOrder(wishes: readonly LockWish[]): readonly LockWish[] {
  const byName = new Map<string, boolean>()
  for (const { name, shared } of wishes) byName.set(name, (byName.get(name) ?? true) && shared === true)
  return [...byName]
    .map(([name, shared]) => ({ name, shared }))
    .sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0))
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
  const attempt = openAttempt(path, shared)
  try {
    return attempt.tryNow()
  } finally {
    attempt.close()
  }
}

/** The file of a lock, open for as many tries as it takes: a try on an open file is one system call. */
function openAttempt(path: string, shared: boolean): { tryNow(): HeldLock | undefined; close(): void } {
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

function asDisposable(held: HeldLock): AsyncDisposable {
  return {
    [Symbol.asyncDispose]: async () => held.release(),
  }
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

function canceled(name: string): BuilderError {
  return new BuilderError('OCI_CANCELED', `canceled while waiting for the lock ${JSON.stringify(name.slice(0, 80))}`)
}
