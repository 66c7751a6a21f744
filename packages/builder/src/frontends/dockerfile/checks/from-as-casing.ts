import type { FromInstruction } from '../read/ast.ts'
import { lowerCase, upperCase } from '../../../base/text.ts'
import { type CheckRule, documentationOf, type Linter } from './rule.ts'

export const fromAsCasing: CheckRule = {
  name: 'FromAsCasing',
  description: "The 'as' keyword should match the case of the 'from' keyword",
  url: documentationOf('from-as-casing'),
}

/** A FROM in mixed case is judged by the casing check alone. */
export function checkFromAsCasing(
  from: Pick<FromInstruction, 'keyword' | 'asKeyword' | 'location'>,
  linter: Linter,
): void {
  const { keyword, asKeyword } = from
  if (asKeyword === '' || matches(keyword, asKeyword)) return
  linter.report(fromAsCasing, from.location, `'${asKeyword}' and '${keyword}' keywords' casing do not match`)
}

function matches(keyword: string, asKeyword: string): boolean {
  if (keyword === lowerCase(keyword)) return asKeyword === lowerCase(asKeyword)
  if (keyword === upperCase(keyword)) return asKeyword === upperCase(asKeyword)
  return true
}
