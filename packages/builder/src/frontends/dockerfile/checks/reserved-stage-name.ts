import type { Stage } from '../read/ast.ts'
import { quote } from '../../../base/text.ts'
import { type CheckRule, documentationOf, type Linter } from './rule.ts'

export const reservedStageName: CheckRule = {
  name: 'ReservedStageName',
  description: 'Reserved words should not be used as stage names',
  url: documentationOf('reserved-stage-name'),
}

const RESERVED = new Set(['context', 'scratch'])

export function checkReservedStageName(stage: Stage, linter: Linter): void {
  if (!RESERVED.has(stage.name)) return
  linter.report(
    reservedStageName,
    stage.location,
    `Stage name should not use the same name as reserved stage ${quote(stage.name)}`,
  )
}
