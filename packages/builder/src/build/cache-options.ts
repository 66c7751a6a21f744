import type { ProgressSink } from '../base/progress.ts'
import type { CacheSpec, PreparedCacheExport, PreparedImport } from '../cache/backends/types.ts'
import type { CacheImports } from './cache-exchange.ts'
import type { BuildOptions, CacheOption } from './public-types.ts'
import type { Session } from './session-types.ts'

/**
 * Checks what is said of caches before anything is built. A build that names none loads nothing of it.
 * @throws OCI_OPTION_INVALID, OCI_OPTION_UNSUPPORTED naming the type or the attribute
 */
export async function prepareCaches({
  cacheFrom = [],
  cacheTo = [],
}: Pick<BuildOptions, 'cacheFrom' | 'cacheTo'>): Promise<{
  readonly imports: readonly PreparedImport[]
  readonly exports: readonly PreparedCacheExport[]
}> {
  if (cacheFrom.length + cacheTo.length === 0) return { imports: [], exports: [] }
  const { prepareCacheExports, prepareImports } = await import('../cache/backends/prepare.ts')
  return {
    imports: await prepareImports(cacheFrom.map(specOf)),
    exports: await prepareCacheExports(cacheTo.map(specOf)),
  }
}

/** What a build reads; undefined where it reads no cache from elsewhere. */
export async function importCaches(
  session: Session,
  imports: readonly PreparedImport[],
  sink: ProgressSink,
): Promise<CacheImports | undefined> {
  if (imports.length === 0) return undefined
  const { createCacheImports } = await import('./cache-exchange.ts')
  return createCacheImports(session, imports, sink)
}

/** As backends read it. */
export function specOf({ type, ...attrs }: CacheOption): CacheSpec {
  const texts = Object.entries(attrs).flatMap(([key, value]) => (value === undefined ? [] : [[key, String(value)]]))
  return { type, attrs: Object.fromEntries(texts) as Record<string, string> }
}
