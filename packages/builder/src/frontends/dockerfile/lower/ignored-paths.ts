import { createIgnoreMatcher } from '../../../patterns/ignore.ts'
import type { IgnoredPaths } from '../checks/copy-ignored-file.ts'

/** What the ignore file of the context says, undefined when there is none. */
export function createIgnoredPaths(patterns: readonly string[] | undefined): IgnoredPaths | undefined {
  if (patterns === undefined || patterns.length === 0) return undefined
  const matcher = createIgnoreMatcher(patterns)
  return { patterns, isExcluded: (path) => matcher.matches(path) }
}
