import type { Stage } from '../read/ast.ts'
import { quote } from '../../../base/text.ts'
import { type CheckRule, documentationOf, type Linter } from './rule.ts'

export const duplicateStageName: CheckRule = {
  name: 'DuplicateStageName',
  description: 'Stage names should be unique',
  url: documentationOf('duplicate-stage-name'),
}

export function checkDuplicateStageName(stage: Stage, earlier: ReadonlySet<string>, linter: Linter): void {
  if (!earlier.has(stage.name)) return
  linter.report(
    duplicateStageName,
    stage.location,
    `Duplicate stage name ${quote(stage.name)}, stage names should be unique`,
  )
}
