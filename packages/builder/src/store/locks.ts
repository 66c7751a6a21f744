import { setTimeout as delay } from 'node:timers/promises'
import { BuilderError } from '../base/errors.ts'
import { digestOf, digestHex } from '../oci/digest.ts'
import { onDisk } from '../base/disk-errors.ts'
import { openAttempt, tryLockFile, type HeldLock } from './lock-files.ts'
import { assertLockOrder, whileHolding, type LockKind } from './lock-order.ts'
import type { HoldOptions, LockWish, Locks, LockOptions } from './types.ts'

const FIRST_WAIT_MS = 1
/** A try is one system call: of 60 that wait, each adds a thousandth of a core, and who is next starts within this. */
const LONGEST_WAIT_MS = 25

/** Takes a lock or answers undefined; never waits. */
export type TryHold = (name: string, shared: boolean) => HeldLock | undefined

/** Locks by name, each a flock(2) on a file of its own below `run/`. The file goes when its last holder lets go. */
export function createLocks(root: string, runDirectory: string): Locks & { readonly tryHold: TryHold } {
  return new NamedLocks(root, runDirectory)
}

class NamedLocks implements Locks {
  private readonly root: string
  private readonly runDirectory: string

  constructor(root: string, runDirectory: string) {
    this.root = root
    this.runDirectory = runDirectory
  }

  async acquire(name: string, options: LockOptions = {}): Promise<AsyncDisposable> {
    return asDisposable(await this.wait(name, options))
  }

  /** Of its own: it is handed on as it is. */
  readonly tryHold: TryHold = (name, shared) => onDisk(this.root, () => tryLockFile(this.pathOf(name), shared))

  tryAcquire(name: string, options: { readonly shared?: boolean } = {}): AsyncDisposable | undefined {
    const held = this.tryHold(name, options.shared === true)
    return held === undefined ? undefined : asDisposable(held)
  }

  // Polled: a blocking flock would hold a thread of libuv's few for as long as a stranger's build lasts.
  private async wait(name: string, { shared, signal }: LockOptions): Promise<HeldLock> {
    const attempt = onDisk(this.root, () => openAttempt(this.pathOf(name), shared === true))
    try {
      for (let waitMs = FIRST_WAIT_MS; ; waitMs = Math.min(waitMs * 1.5, LONGEST_WAIT_MS)) {
        if (signal?.aborted === true) throw canceled(name)
        const held = onDisk(this.root, () => attempt.tryNow())
        if (held !== undefined) return held
        await delay(waitMs, undefined, signal === undefined ? {} : { signal }).catch(() => undefined)
      }
    } finally {
      attempt.close()
    }
  }

  // Who waits for a lock alone is passed by nobody who comes later and would share it with those that have it.
  private async waitInTurn(name: string, options: LockOptions): Promise<HeldLock> {
    const turn = await this.wait(`${name} turn`, { ...options, shared: false })
    try {
      return await this.wait(name, options)
    } finally {
      turn.release()
    }
  }

  private tryInTurn(name: string, shared: boolean): HeldLock | undefined {
    const turn = this.tryHold(`${name} turn`, false)
    const lock = turn && this.tryHold(name, shared)
    turn?.release()
    return lock
  }

  private tryOne(kind: LockKind, name: string, shared: boolean): HeldLock | undefined {
    return isShared(kind) ? this.tryInTurn(name, shared) : this.tryHold(name, shared)
  }

  private waitForOne(kind: LockKind, name: string, options: LockOptions): Promise<HeldLock> {
    return isShared(kind) ? this.waitInTurn(name, options) : this.wait(name, options)
  }

  private tryAll(kind: LockKind, wishes: readonly LockWish[]): HeldLock[] | undefined {
    const held: HeldLock[] = []
    try {
      for (const { name, shared } of wishes) {
        const lock = this.tryOne(kind, `${kind}-${name}`, shared === true)
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

  private async waitForAll(
    kind: LockKind,
    wishes: readonly LockWish[],
    signal: AbortSignal | undefined,
  ): Promise<HeldLock[]> {
    const held: HeldLock[] = []
    try {
      for (const { name, shared } of wishes)
        held.push(await this.waitForOne(kind, `${kind}-${name}`, { shared, signal }))
      return held
    } catch (error) {
      releaseAll(held)
      throw error
    }
  }

  async hold<T>(
    kind: LockKind,
    wishes: readonly LockWish[],
    { signal, whileWaiting = (wait) => wait() }: HoldOptions,
    work: () => Promise<T>,
  ): Promise<T> {
    const ordered = inOrder(wishes)
    const names = ordered.map(({ name }) => name)
    for (const name of names) assertLockOrder(this.root, kind, name)
    if (signal?.aborted === true) throw canceled(names.join())
    let held = this.tryAll(kind, ordered)
    try {
      // Who lends a turn while waiting may fail to get another one, with the locks in hand.
      if (held === undefined) await whileWaiting(async () => (held = await this.waitForAll(kind, ordered, signal)))
      return await whileHolding(this.root, kind, names, work)
    } finally {
      releaseAll(held ?? [])
    }
  }

  tryHoldAll(kind: LockKind, wishes: readonly LockWish[]): AsyncDisposable | undefined {
    const held = this.tryAll(kind, inOrder(wishes))
    return held && { [Symbol.asyncDispose]: async () => releaseAll(held) }
  }

  private pathOf(name: string): string {
    return `${this.runDirectory}/${lockFileName(name)}`
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

function asDisposable(held: HeldLock): AsyncDisposable {
  return {
    [Symbol.asyncDispose]: async () => held.release(),
  }
}

function canceled(name: string): BuilderError {
  return new BuilderError('OCI_CANCELED', `canceled while waiting for the lock ${JSON.stringify(name.slice(0, 80))}`)
}
