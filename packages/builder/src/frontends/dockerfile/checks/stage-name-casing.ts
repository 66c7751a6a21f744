import type { FromInstruction } from '../read/ast.ts'
import { lowerCase } from '../../../base/text.ts'
import { type CheckRule, documentationOf, type Linter } from './rule.ts'

export const stageNameCasing: CheckRule = {
  name: 'StageNameCasing',
  description: 'Stage names should be lowercase',
  url: documentationOf('stage-name-casing'),
}

export function checkStageNameCasing(
  from: Pick<FromInstruction, 'stageNameAsWritten' | 'location'>,
  linter: Linter,
): void {
  const name = from.stageNameAsWritten
  if (name !== lowerCase(name))
    linter.report(stageNameCasing, from.location, `Stage name '${name}' should be lowercase`)
}
