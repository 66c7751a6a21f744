import { isTsOciError } from '../../base/errors.ts'
import type { ExecMount, ExecSpec } from '../../graph/op-specs.ts'
import { stepCacheId } from '../../store/cache-mounts.ts'
import type { Result, RunContext } from '../../solver/types.ts'
import { cacheMountId, initialContent, prepareCacheMount, type CacheParts, type WantedCache } from './cache-mount.ts'

/** One cache of a step, whatever the number of places where it is mounted. */
export interface StepCache extends WantedCache {
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
  environment: CacheParts,
  spec: ExecSpec,
  inputs: readonly Result[],
  run: Pick<RunContext, 'signal' | 'whileWaiting'>,
  work: (directories: ReadonlyMap<ExecMount, string>) => Promise<T>,
): Promise<T> {
  const caches = await stepCaches(environment, spec, inputs)
  if (caches.length === 0) return work(new Map())
  const { locks } = environment.store
  // Where nothing can be mounted a cache is moved into the root of a step: one has it at a time.
  const isMoved = (await environment.executor()).roots === 'directory'
  const wishes = caches
    .filter(({ sharing }) => sharing !== 'private')
    .map(({ id, sharing }) => ({ name: id, shared: sharing === 'shared' && !isMoved }))
  return locks.hold('cache-mount', wishes, run, async () => {
    const copies: AsyncDisposable[] = []
    try {
      const taken = caches.map((cache) => ({
        ...cache,
        ...(cache.sharing === 'private'
          ? { id: takeCopy(environment, cache.id, copies), carriedId: undefined }
          : { id: cache.id }),
      }))
      for (const { id, carriedId } of taken) if (carriedId === undefined) environment.store.keepCacheMount(id)
      for (let tries = 1; ; tries++) {
        const directories = await prepareAll(environment, taken, run.signal)
        try {
          return await work(directories)
        } catch (error) {
          // A build that begins with empty caches took one away before it was mounted here: nothing has run yet.
          if (!isTakenAway(error, directories) || tries === MAX_TRIES) throw error
        }
      }
    } finally {
      for (const lock of copies) await lock[Symbol.asyncDispose]()
    }
  })
}

const MAX_TRIES = 10

async function prepareAll(
  environment: CacheParts,
  caches: readonly StepCache[],
  signal: AbortSignal,
): Promise<ReadonlyMap<ExecMount, string>> {
  const directories = new Map<ExecMount, string>()
  for (const cache of caches) {
    const directory = await prepareCacheMount(environment, cache, signal)
    for (const mount of cache.mounts) directories.set(mount, directory)
  }
  return directories
}

/**
 * Whether it was a cache's own directory that the executor did not find. The error says so, the disk does not: a third
 * build may have made the directory anew since.
 */
function isTakenAway(error: unknown, directories: ReadonlyMap<ExecMount, string>): boolean {
  if (!isTsOciError(error) || error.code !== 'OCI_RUNTIME_MOUNT' || error.details['errno'] !== 'ENOENT') return false
  const operation = String(error.details['operation'])
  return [...directories.values()].some((directory) => operation.endsWith(`: source ${directory}`))
}

/** The caches of a step. @param inputs those of its cache mounts */
export async function stepCaches(
  environment: CacheParts,
  spec: ExecSpec,
  inputs: readonly (Result | undefined)[],
): Promise<readonly StepCache[]> {
  const mounts = spec.mounts.filter(({ type }) => type === 'cache')
  if (mounts.length === 0) return []
  const { idMapping } = await environment.executor()
  const caches = new Map<string, StepCache>()
  for (const mount of mounts) {
    const initial = await initialContent(environment, mount.input < 0 ? undefined : inputs[mount.input], mount)
    const name = stepCacheId(mount.cache?.id ?? mount.dest)
    const id = cacheMountId(name, initial, idMapping)
    const carriedId = travels(spec, mount) ? cacheMountId(name, initial, { kind: 'identity' }) : undefined
    const sharing = mount.cache?.sharing ?? 'shared'
    const known = caches.get(id)
    if (known === undefined) caches.set(id, { id, carriedId, initial, mounts: [mount], sharing })
    else {
      known.mounts.push(mount)
      if (STRICTNESS.indexOf(sharing) > STRICTNESS.indexOf(known.sharing)) known.sharing = sharing
    }
  }
  return [...caches.values()]
}

/** What a step keeps for itself stays here; where it sees a secret, so may the cache. */
function travels({ mounts, secretEnv }: ExecSpec, { cache }: ExecMount): boolean {
  return cache?.sharing !== 'private' && secretEnv.length === 0 && mounts.every(({ type }) => type !== 'secret')
}

/** The first copy that nobody holds: it is never waited for, so no order binds it. */
function takeCopy({ store }: CacheParts, id: string, held: AsyncDisposable[]): string {
  for (let copy = 0; ; copy++) {
    const copyId = copy === 0 ? id : `${id}#${copy}`
    const lock = store.locks.tryHoldAll('cache-mount', [{ name: copyId }])
    if (lock === undefined) continue
    held.push(lock)
    return copyId
  }
}
