/**
 * The order in which locks are taken, first to last (docs/locks.md). Who holds one may wait for a later kind only:
 * two that wait for each other would each have taken one kind before the other.
 */
export const LOCK_KINDS = ['execution', 'cache-mount', 'repository', 'cache-mount-make', 'layer', 'name'] as const

export type LockKind = (typeof LOCK_KINDS)[number]

interface Held {
  readonly root: string
  readonly kind: LockKind
  readonly names: readonly string[]
}

/** What the work that runs now holds. Undefined outside of tests: following contexts has a price. */
const held = isAsserted()
  ? new (process.getBuiltinModule('node:async_hooks').AsyncLocalStorage)<readonly Held[]>()
  : undefined

function isAsserted(): boolean {
  const wish = process.env['TSBUILD_ASSERT_LOCKS']
  return wish === undefined ? process.env['NODE_ENV'] === 'test' : wish !== '0'
}

/**
 * Says that work which holds what this context holds is about to wait for a lock of this kind, or for somebody who does.
 * @throws a plain Error when that is against the order: a bug, whether or not anybody waits for ever this time
 */
export function assertLockOrder(root: string, kind: LockKind, name: string): void {
  for (const other of held?.getStore() ?? []) {
    if (other.root !== root || LOCK_KINDS.indexOf(other.kind) < LOCK_KINDS.indexOf(kind)) continue
    throw new Error(
      `the lock ${kind} ${JSON.stringify(name)} is asked for by who holds ${other.kind} ${JSON.stringify(other.names)}`,
    )
  }
}

/** Runs work that holds these locks. */
export function whileHolding<T>(
  root: string,
  kind: LockKind,
  names: readonly string[],
  work: () => Promise<T>,
): Promise<T> {
  return held === undefined ? work() : held.run([...(held.getStore() ?? []), { root, kind, names }], work)
}
