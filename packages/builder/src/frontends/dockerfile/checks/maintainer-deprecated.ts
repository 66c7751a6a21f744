import type { MaintainerInstruction } from '../read/ast.ts'
import { type CheckRule, documentationOf, type Linter } from './rule.ts'

export const maintainerDeprecated: CheckRule = {
  name: 'MaintainerDeprecated',
  description: 'The MAINTAINER instruction is deprecated, use a label instead to define an image author',
  url: documentationOf('maintainer-deprecated'),
}

export function checkMaintainerDeprecated(instruction: Pick<MaintainerInstruction, 'location'>, linter: Linter): void {
  linter.report(
    maintainerDeprecated,
    instruction.location,
    'Maintainer instruction is deprecated in favor of using label',
  )
}
