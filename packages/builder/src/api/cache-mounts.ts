import { BuilderError } from '../base/errors.ts'
import type { CacheMountOptions, CacheMountSummary, CacheOption, CarriedCacheMount } from '../build/public-types.ts'
import { sessionOf } from '../build/session.ts'

/** The cache mounts of the store, the last used first. */
export async function cacheMounts(options: CacheMountOptions = {}): Promise<readonly CacheMountSummary[]> {
  await using session = await sessionOf(options)
  // Measures what was used since it was measured.
  await session.store.usage(['type=exec.cachemount'])
  return session.store.cacheMounts().map(({ directory: _directory, ...row }) => row)
}

/** The cache mounts that a cache elsewhere has; only their list is fetched. @throws OCI_OPTION_INVALID, OCI_OPTION_UNSUPPORTED */
export async function carriedCacheMounts(
  from: CacheOption,
  options: CacheMountOptions = {},
): Promise<readonly CarriedCacheMount[]> {
  return (await import('./travel/cache-mounts.ts')).listCarriedMounts(from, options)
}

/**
 * Writes cache mounts to a cache of their own, in place of what has its name there.
 * @param ids all that may leave the store where none is named
 * @returns the ids of those that were written
 * @throws OCI_OPTION_INVALID, OCI_OPTION_UNSUPPORTED, OCI_EXPORT_FAILED, OCI_REGISTRY_…
 */
export async function exportCacheMounts(
  ids: readonly string[],
  to: CacheOption,
  options: CacheMountOptions = {},
): Promise<readonly string[]> {
  return (await import('./travel/cache-mounts.ts')).exportCacheMounts(ids, to, options)
}

/**
 * Brings cache mounts of a cache elsewhere into the store; those that are here stay as they are.
 * @param ids all that it has where none is named
 * @returns the ids of those that were brought
 */
export async function importCacheMounts(
  ids: readonly string[],
  from: CacheOption,
  options: CacheMountOptions = {},
): Promise<readonly string[]> {
  return (await import('./travel/cache-mounts.ts')).importCacheMounts(ids, from, options)
}

/** Whoever asks for these from now on gets empty ones; a build that has one mounted keeps it until it ends. @throws OCI_OPTION_INVALID */
export async function removeCacheMounts(ids: readonly string[], options: CacheMountOptions = {}): Promise<void> {
  await using session = await sessionOf(options)
  const known = new Set(session.store.cacheMounts().map(({ id }) => id))
  const missing = ids.find((id) => !known.has(id))
  if (missing !== undefined)
    throw new BuilderError('OCI_OPTION_INVALID', `there is no cache mount ${JSON.stringify(missing)}`, {
      hint: 'tsbuild cache mounts ls names them',
    })
  await session.store.emptyCacheMounts(ids)
}
