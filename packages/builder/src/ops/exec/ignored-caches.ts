import { stepCacheId } from '../../store/cache-mounts.ts'
import type { Edge, Vertex } from '../../graph/types.ts'

/** Ids of the caches that steps mount which are made anew on purpose: such a step begins with empty ones. */
export function ignoredCacheMounts(target: Edge): readonly string[] {
  const ids = new Set<string>()
  const seen = new Set<Vertex>([target.vertex])
  for (const { op, metadata, inputs } of seen) {
    for (const { vertex } of inputs) seen.add(vertex)
    if (op.kind !== 'exec' || metadata.ignoreCache !== true) continue
    for (const mount of op.mounts) if (mount.type === 'cache') ids.add(stepCacheId(mount.cache?.id ?? mount.dest))
  }
  return [...ids]
}
