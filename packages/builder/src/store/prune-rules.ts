import type { GarbagePolicy, GarbageRule, PruneOptions, SpaceBound } from './types.ts'
import type { PruneRule } from './prune-choice.ts'
import { bytesOfBound, bytesOfPart } from './spaces.ts'
import { parseUsageFilters } from './usage-filter.ts'

/** BuildKit's defaults (`cmd/buildkitd/config/gcpolicy_unix.go`): parts of the disk in percent, and bytes. */
const DEFAULTS = { reservedPart: 10, reservedBytes: 10e9, freePart: 20, usedPart: 80, usedBytes: 100e9 } as const

/** What is made again most easily. */
const CHEAP = ['source.local', 'exec.cachemount', 'source.git.checkout']

/** The rule that one call of `prune` means. @throws OCI_OPTION_INVALID */
export function pruneRule(options: PruneOptions): PruneRule {
  const { fits, unusedForMs } = parseUsageFilters(options.filters ?? [])
  return {
    all: options.all === true,
    // Of a step's layer it is known when it was used.
    fits: options.onlyUnowned === true ? ({ type, usedMs }) => type === 'regular' && usedMs === undefined : fits,
    keepDurationMs: unusedForMs ?? options.olderThanMs ?? 0,
    reservedBytes: options.reservedBytes ?? 0,
    maxUsedBytes: options.maxUsedBytes ?? 0,
    minFreeBytes: options.minFreeBytes ?? 0,
  }
}

/** Nothing is to stay that a build could not make again. */
export function isWhole({ all, filters = [], ...bounds }: PruneOptions): boolean {
  return all === true && filters.length === 0 && Object.values(bounds).every((bound) => bound === undefined)
}

/** @param totalBytes of the disk; 0 where it does not say @throws OCI_OPTION_INVALID */
export function garbageRules(policy: GarbagePolicy, totalBytes: number): readonly PruneRule[] {
  if (policy.rules !== undefined) return policy.rules.map((rule) => ruleOf(rule, totalBytes))
  const isGiven = [policy.reserved, policy.maxUsed, policy.minFree].some((bound) => bound !== undefined)
  const bounds = isGiven ? boundsOf(policy, totalBytes) : defaultBounds(totalBytes)
  const rule = { all: false, fits: () => true, keepDurationMs: 0, ...bounds }
  return [
    {
      all: false,
      fits: ({ type }) => CHEAP.includes(type),
      keepDurationMs: 48 * HOUR_MS,
      reservedBytes: 0,
      maxUsedBytes: 512e6,
      minFreeBytes: 0,
    },
    { ...rule, keepDurationMs: 60 * 24 * HOUR_MS },
    rule,
    { ...rule, all: true },
  ]
}

const HOUR_MS = 3_600_000

type Bounds = Pick<PruneRule, 'reservedBytes' | 'maxUsedBytes' | 'minFreeBytes'>

/** For a disk of this size. */
function defaultBounds(totalBytes: number): Bounds {
  return {
    reservedBytes: Math.min(bytesOfPart(DEFAULTS.reservedPart, totalBytes), DEFAULTS.reservedBytes),
    maxUsedBytes: Math.min(bytesOfPart(DEFAULTS.usedPart, totalBytes), DEFAULTS.usedBytes),
    minFreeBytes: bytesOfPart(DEFAULTS.freePart, totalBytes),
  }
}

function boundsOf({ reserved, maxUsed, minFree }: GarbageRule, totalBytes: number): Bounds {
  const bytes = (bound: SpaceBound | undefined): number => (bound === undefined ? 0 : bytesOfBound(bound, totalBytes))
  return { reservedBytes: bytes(reserved), maxUsedBytes: bytes(maxUsed), minFreeBytes: bytes(minFree) }
}

function ruleOf(rule: GarbageRule, totalBytes: number): PruneRule {
  const more = rule.unusedFor === undefined ? [] : [`until=${rule.unusedFor}`]
  const { fits, unusedForMs = 0 } = parseUsageFilters([...(rule.filters ?? []), ...more])
  return { all: rule.all === true, fits, keepDurationMs: unusedForMs, ...boundsOf(rule, totalBytes) }
}
