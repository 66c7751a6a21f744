import type { PruneParts } from './prune.ts'
import type { UsageRecord } from './types.ts'
import { parseUsageFilters } from './usage-filter.ts'
import { listUsage, measureCacheMounts, usageRecord } from './usage.ts'

/** The records of the cache that filters leave, with cache mounts as large as they are now. @throws OCI_OPTION_INVALID */
export function usageOf(parts: PruneParts, filters: readonly string[]): readonly UsageRecord[] {
  const { fits, unusedForMs = 0 } = parseUsageFilters(filters)
  const limitMs = parts.now() - unusedForMs
  measureCacheMounts(parts, parts.now())
  return listUsage(parts, parts.leases.others().names, { isLocked: true })
    .filter((item) => fits(item) && (unusedForMs === 0 || (item.usedMs ?? 0) <= limitMs))
    .map(usageRecord)
}
