import type { SourceRange } from '../../../base/source.ts'
import type { Expansion } from '../expand/types.ts'
import { type CheckRule, documentationOf, type Linter } from './rule.ts'

export const redundantTargetPlatform: CheckRule = {
  name: 'RedundantTargetPlatform',
  description: 'Setting platform to predefined $TARGETPLATFORM in FROM is redundant as this is the default behavior',
  url: documentationOf('redundant-target-platform'),
}

export function checkRedundantTargetPlatform(
  written: string,
  expansion: Expansion,
  targetPlatform: string | undefined,
  location: SourceRange,
  linter: Linter,
): void {
  const { matched, unmatched, text } = expansion
  if (matched.size !== 1 || unmatched.size !== 0 || !matched.has('TARGETPLATFORM') || text !== targetPlatform) return
  linter.report(
    redundantTargetPlatform,
    location,
    `Setting platform to predefined ${written} in FROM is redundant as this is the default behavior`,
  )
}
