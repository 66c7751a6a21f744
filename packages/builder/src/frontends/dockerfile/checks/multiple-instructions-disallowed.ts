import type { SourceRange } from '../../../base/source.ts'
import { type CheckRule, documentationOf, type Linter } from './rule.ts'

export const multipleInstructionsDisallowed: CheckRule = {
  name: 'MultipleInstructionsDisallowed',
  description: 'Multiple instructions of the same type should not be used in the same stage',
  url: documentationOf('multiple-instructions-disallowed'),
}

/** The earlier one is told: it is the one that has no effect. */
export function checkMultipleInstructionsDisallowed(
  keyword: string,
  earlier: SourceRange | undefined,
  linter: Linter,
): void {
  if (earlier === undefined) return
  linter.report(
    multipleInstructionsDisallowed,
    earlier,
    `Multiple ${keyword} instructions should not be used in the same stage because only the last one will be used`,
  )
}
