import type { CmdInstruction } from '../../read/ast.ts'
import { checkJsonArgsRecommended } from '../../checks/json-args-recommended.ts'
import { checkMultipleInstructionsDisallowed } from '../../checks/multiple-instructions-disallowed.ts'
import { addHistory } from '../image-config.ts'
import type { Lowering } from '../context.ts'
import { formatQuotedList } from '../go-format.ts'
import { withShell } from './shell.ts'

export const lowerCmd: Lowering<CmdInstruction> = ({ stage, epoch, linter }, instruction) => {
  const { image } = stage
  checkMultipleInstructionsDisallowed(instruction.keyword, stage.seen.cmd, linter)
  stage.seen.cmd = instruction.location
  checkJsonArgsRecommended(instruction, image.config.shell, linter)
  const { args, prependShell } = instruction.command
  image.config.cmd = prependShell ? withShell(image, args) : args
  image.config.argsEscaped = true
  addHistory(image, `CMD ${formatQuotedList(image.config.cmd)}`, false, epoch)
}
