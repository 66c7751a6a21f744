import type { CommonOptions, PruneOptions, PruneOutcome, UsageRecord } from '../build/public-types.ts'
import { sessionOf } from '../build/session.ts'
import { withRoom } from './with-room.ts'

/**
 * The build cache record by record, as `docker buildx du` lists it.
 * @throws OCI_OPTION_INVALID for a filter that is not understood
 */
export async function diskUsage(
  options: CommonOptions & Pick<PruneOptions, 'filters'> = {},
): Promise<readonly UsageRecord[]> {
  await using session = await sessionOf(options)
  return await session.store.usage(options.filters)
}

/**
 * Drops build cache: what belongs to an image in the store stays, and so does what a build uses that runs meanwhile.
 * @throws OCI_OPTION_INVALID for a filter that is not understood
 */
export async function prune(options: CommonOptions & PruneOptions = {}): Promise<PruneOutcome> {
  const { all, olderThanMs, filters, reservedBytes, maxUsedBytes, minFreeBytes } = options
  return withRoom(options, async () => {
    await using session = await sessionOf(options)
    return await session.store.prune({ all, olderThanMs, filters, reservedBytes, maxUsedBytes, minFreeBytes })
  })
}
