import { parseReference } from '../../../oci/reference.ts'
import type { Stage } from '../read/ast.ts'
import { type CheckRule, documentationOf, type Linter } from './rule.ts'

export const invalidDefaultArgInFrom: CheckRule = {
  name: 'InvalidDefaultArgInFrom',
  description: 'Default value for global ARG results in an empty or invalid base image name',
  url: documentationOf('invalid-default-arg-in-from'),
}

/** `baseName`: what the name is with defaults alone. */
export function checkInvalidDefaultArgInFrom(stage: Stage, baseName: string, linter: Linter): void {
  if (isReference(baseName)) return
  linter.report(
    invalidDefaultArgInFrom,
    stage.location,
    `Default value for ARG ${stage.baseName} results in empty or invalid base image name`,
  )
}

function isReference(name: string): boolean {
  try {
    parseReference(name)
    return true
  } catch {
    return false
  }
}
