import type { SourceRange } from '../../../base/source.ts'
import type { Stage } from '../read/ast.ts'
import { lowerCase, upperCase } from '../../../base/text.ts'
import { type CheckRule, documentationOf, type Linter } from './rule.ts'

export const consistentInstructionCasing: CheckRule = {
  name: 'ConsistentInstructionCasing',
  description: 'All commands within the Dockerfile should use the same casing (either upper or lower)',
  url: documentationOf('consistent-instruction-casing'),
}

/** The majority of the keywords that are wholly upper or lower case decides; with as many of each it is upper case. */
export function checkConsistentInstructionCasing(stages: readonly Stage[], linter: Linter): void {
  const keywords = stages.flatMap((stage) =>
    [stage.from, ...stage.instructions].map(({ keyword, location }) => ({ keyword, location })),
  )
  const lower = keywords.filter(({ keyword }) => keyword === lowerCase(keyword)).length
  const upper = keywords.filter(
    ({ keyword }) => keyword !== lowerCase(keyword) && keyword === upperCase(keyword),
  ).length
  for (const { keyword, location } of keywords) checkKeyword(keyword, lower > upper, location, linter)
}

function checkKeyword(keyword: string, isMajorityLower: boolean, location: SourceRange, linter: Linter): void {
  const expected = isMajorityLower ? lowerCase(keyword) : upperCase(keyword)
  if (keyword === expected) return
  const casing = isMajorityLower ? 'lowercase' : 'uppercase'
  linter.report(
    consistentInstructionCasing,
    location,
    `Command '${keyword}' should match the case of the command majority (${casing})`,
  )
}
