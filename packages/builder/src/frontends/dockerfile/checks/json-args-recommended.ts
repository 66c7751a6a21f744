import type { CmdInstruction, EntrypointInstruction } from '../read/ast.ts'
import { type CheckRule, documentationOf, type Linter } from './rule.ts'

export const jsonArgsRecommended: CheckRule = {
  name: 'JSONArgsRecommended',
  description: 'JSON arguments recommended for ENTRYPOINT/CMD to prevent unintended behavior related to OS signals',
  url: documentationOf('json-args-recommended'),
}

/** A SHELL of one's own says that the shell is meant. */
export function checkJsonArgsRecommended(
  instruction: CmdInstruction | EntrypointInstruction,
  shell: readonly string[],
  linter: Linter,
): void {
  if (!instruction.command.prependShell || shell.length > 0) return
  linter.report(
    jsonArgsRecommended,
    instruction.location,
    `JSON arguments recommended for ${instruction.keyword} to prevent unintended behavior related to OS signals`,
  )
}
