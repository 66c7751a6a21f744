import { existsSync, renameSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { digestHex, digestOf } from '../oci/digest.ts'
import { cacheMountPath, type StorePaths } from './paths.ts'
import { text, type Metadata } from './metadata.ts'
import { asideName } from './prune-files.ts'
import type { CacheMountRow, Locks, LockWish } from './types.ts'
import type { LockKind } from './lock-order.ts'

const GIT_MIRROR = 'git repository '
const STEP_PREFIXED = new RegExp(`^(step )*${GIT_MIRROR}`)
/** What stands behind the id of a cache that begins with something else, and behind that of a private copy. */
const DERIVED = /^(:[0-9a-f]{16})?(#\d+)?$/
const ENDS_AS_DERIVED = /(?::[0-9a-f]{16}|#\d+) *$/

interface CacheMountParts {
  readonly paths: StorePaths
  readonly metadata: Metadata
  readonly locks: Locks
}

/** Git sources keep their mirrors as cache mounts do. */
export function isGitMirror(id: string): boolean {
  return id.startsWith(GIT_MIRROR)
}

/** Id under which the mirror of a git repository is kept. */
export function gitMirrorId(remote: string): string {
  return `${GIT_MIRROR}${remote}`
}

/**
 * Id of the cache that a step calls `id`, which is any text. Never one of a git mirror: git runs outside of all steps,
 * with the configuration and attributes that it finds there. Nor is `x#1` a private copy of `x`, which would be emptied
 * with that. Different ids stay different.
 */
export function stepCacheId(id: string): string {
  const own = ENDS_AS_DERIVED.test(id) ? `${id} ` : id
  return STEP_PREFIXED.test(own) ? `step ${own}` : own
}

/** The lock of a git repository's mirror. */
export function repositoryLock(remote: string): LockWish {
  return { name: digestHex(digestOf(remote)).slice(0, 32) }
}

/** The lock that whoever works in a cache mount, or a mirror, holds. */
export function cacheMountLock(id: string): { readonly kind: LockKind; readonly wish: LockWish } {
  return isGitMirror(id)
    ? { kind: 'repository', wish: repositoryLock(id.slice(GIT_MIRROR.length)) }
    : { kind: 'cache-mount', wish: { name: id } }
}

/**
 * Takes a cache mount out of use: whoever asks for its id gets an empty one.
 * @returns where it lies now, and whether nobody has it mounted; undefined when somebody has, and `isHeldToo` is not given
 */
export function setCacheMountAside(
  parts: CacheMountParts,
  id: string,
  isHeldToo = false,
): { readonly path: string; readonly isFree: boolean } | undefined {
  const { kind, wish } = cacheMountLock(id)
  const lock = parts.locks.tryHoldAll(kind, [wish])
  if (lock === undefined && !isHeldToo) return undefined
  try {
    const directory = cacheMountPath(parts.paths, id)
    const path = join(dirname(directory), asideName())
    parts.metadata.run('DELETE FROM cache_mounts WHERE id = ?', id)
    parts.metadata.run('DELETE FROM facts WHERE key = ?', keptFact(id))
    try {
      renameSync(directory, path)
    } catch (error) {
      if ((error as { code?: unknown }).code !== 'ENOENT') throw error
    }
    return { path, isFree: lock !== undefined }
  } finally {
    void lock?.[Symbol.asyncDispose]()
  }
}

/**
 * Ids of the caches that steps mean by `id`: those that begin with something else have its digest behind it, copies of
 * private ones a number.
 */
export function cacheMountIds(metadata: Metadata, id: string): readonly string[] {
  return metadata
    .all('SELECT id FROM cache_mounts WHERE substr(id, 1, ?) = ?', id.length, id)
    .map((row) => text(row, 'id'))
    .filter((found) => DERIVED.test(found.slice(id.length)))
}

/** The cache mounts that are there. */
export function listCacheMounts({
  paths,
  metadata,
}: Pick<CacheMountParts, 'paths' | 'metadata'>): readonly CacheMountRow[] {
  return metadata.all('SELECT * FROM cache_mounts ORDER BY used_ms DESC, id').flatMap((row) => {
    const id = text(row, 'id')
    const directory = cacheMountPath(paths, id)
    // A row comes before its directory.
    if (isGitMirror(id) || !existsSync(directory)) return []
    const isKept = metadata.get('SELECT 1 FROM facts WHERE key = ?', keptFact(id)) !== undefined
    const facts = [row['created_ms'], row['used_ms'], row['usage_count'], row['size']].map(Number)
    const [createdMs = 0, usedMs = 0, usageCount = 0, sizeBytes = 0] = facts
    return [{ id, directory, createdMs, usedMs, usageCount, sizeBytes, isKept }]
  })
}

/** From now on until it is emptied. */
export function keepCacheMount(metadata: Metadata, id: string): void {
  // Read first: a write waits for other writers.
  if (metadata.get('SELECT 1 FROM facts WHERE key = ?', keptFact(id)) !== undefined) return
  metadata.run('INSERT OR IGNORE INTO facts (key, value) VALUES (?, ?)', keptFact(id), '1')
}

function keptFact(id: string): string {
  return `kept cache mount ${id}`
}
