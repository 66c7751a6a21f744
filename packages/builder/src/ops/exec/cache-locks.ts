import type { OpsEnvironment } from '../environment.ts'
import type { ExecMount, ExecSpec } from '../specs.ts'
import type { Result, RunContext } from '../types.ts'
import { cacheMountId, initialContent, prepareCacheMount, type InitialContent } from './cache-mount.ts'

/** One cache of a step, whatever the number of places where it is mounted. */
interface StepCache {
  readonly id: string
  readonly initial: InitialContent | undefined
  readonly mounts: ExecMount[]
  sharing: Sharing
}

type Sharing = 'shared' | 'private' | 'locked'

const STRICTNESS: readonly Sharing[] = ['shared', 'private', 'locked']

/**
 * Runs work while the caches of a step are held, with the directory of each. `shared` ones go together, `locked` ones
 * wait, of `private` ones each step gets one that no other holds. A step holds a cache once, in the strictest of the
 * ways in which it asks for it, and sees one directory everywhere (as BuildKit).
 */
export async function withCacheMounts<T>(
  environment: OpsEnvironment,
  spec: ExecSpec,
  inputs: readonly Result[],
  run: Pick<RunContext, 'signal' | 'whileWaiting'>,
  work: (directories: ReadonlyMap<ExecMount, string>) => Promise<T>,
): Promise<T> {
  const caches = await cachesOf(environment, spec, inputs)
  if (caches.length === 0) return work(new Map())
  const { locks } = environment.store
  const wishes = caches
    .filter(({ sharing }) => sharing !== 'private')
    .map(({ id, sharing }) => ({ name: id, shared: sharing === 'shared' }))
  return locks.hold('cache-mount', wishes, run, async () => {
    const copies: AsyncDisposable[] = []
    try {
      const directories = new Map<ExecMount, string>()
      for (const cache of caches) {
        const id = cache.sharing === 'private' ? takeCopy(environment, cache.id, copies) : cache.id
        const directory = await prepareCacheMount(environment, id, cache.initial, run.signal)
        for (const mount of cache.mounts) directories.set(mount, directory)
      }
      return await work(directories)
    } finally {
      for (const lock of copies) await lock[Symbol.asyncDispose]()
    }
  })
}

async function cachesOf(
  environment: OpsEnvironment,
  spec: ExecSpec,
  inputs: readonly Result[],
): Promise<readonly StepCache[]> {
  const caches = new Map<string, StepCache>()
  for (const mount of spec.mounts) {
    if (mount.type !== 'cache') continue
    const initial = await initialContent(environment, mount.input < 0 ? undefined : inputs[mount.input], mount)
    const id = cacheMountId(mount.cache?.id ?? mount.dest, initial)
    const sharing = mount.cache?.sharing ?? 'shared'
    const known = caches.get(id)
    if (known === undefined) caches.set(id, { id, initial, mounts: [mount], sharing })
    else {
      known.mounts.push(mount)
      if (STRICTNESS.indexOf(sharing) > STRICTNESS.indexOf(known.sharing)) known.sharing = sharing
    }
  }
  return [...caches.values()]
}

/** The first copy that nobody holds: it is never waited for, so no order binds it. */
function takeCopy({ store }: OpsEnvironment, id: string, held: AsyncDisposable[]): string {
  for (let copy = 0; ; copy++) {
    const copyId = copy === 0 ? id : `${id}#${copy}`
    const lock = store.locks.tryHoldAll('cache-mount', [{ name: copyId }])
    if (lock === undefined) continue
    held.push(lock)
    return copyId
  }
}
