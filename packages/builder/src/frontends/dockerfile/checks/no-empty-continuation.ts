import type { ParseWarning } from '../read/ast.ts'
import { type CheckRule, documentationOf, type Linter } from './rule.ts'

export const noEmptyContinuation: CheckRule = {
  name: 'NoEmptyContinuation',
  description: 'Empty continuation lines will become errors in a future release',
  url: documentationOf('no-empty-continuation'),
}

export function checkNoEmptyContinuation(warnings: readonly ParseWarning[], linter: Linter): void {
  for (const warning of warnings) linter.report(noEmptyContinuation, warning.location, 'Empty continuation line')
}
