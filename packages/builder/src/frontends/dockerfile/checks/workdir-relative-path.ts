import type { WorkdirInstruction } from '../read/ast.ts'
import { quote } from '../../../base/text.ts'
import { type CheckRule, documentationOf, type Linter } from './rule.ts'

export const workdirRelativePath: CheckRule = {
  name: 'WorkdirRelativePath',
  description:
    'Relative workdir without an absolute workdir declared within the build can have unexpected results if the base image changes',
  url: documentationOf('workdir-relative-path'),
}

/** Only the first WORKDIR of a stage is judged: the later ones are right once it is. */
export function checkWorkdirRelativePath(
  instruction: WorkdirInstruction,
  path: string,
  isFirst: boolean,
  linter: Linter,
): void {
  if (!isFirst || path.startsWith('/')) return
  linter.report(
    workdirRelativePath,
    instruction.location,
    `Relative workdir ${quote(path)} can have unexpected results if the base image changes`,
  )
}
