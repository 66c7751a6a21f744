import type { EntrypointInstruction } from '../../read/ast.ts'
import { checkJsonArgsRecommended } from '../../checks/json-args-recommended.ts'
import { checkMultipleInstructionsDisallowed } from '../../checks/multiple-instructions-disallowed.ts'
import { addHistory } from '../image-config.ts'
import type { Lowering } from '../context.ts'
import { formatQuotedList } from '../go-format.ts'
import { withShell } from './shell.ts'

/** The base's CMD were arguments of the base's ENTRYPOINT: they go, unless this stage has set its own. */
export const lowerEntrypoint: Lowering<EntrypointInstruction> = ({ stage, epoch, linter }, instruction) => {
  const { image } = stage
  checkMultipleInstructionsDisallowed(instruction.keyword, stage.seen.entrypoint, linter)
  stage.seen.entrypoint = instruction.location
  checkJsonArgsRecommended(instruction, image.config.shell, linter)
  const { args, prependShell } = instruction.command
  image.config.entrypoint = prependShell ? withShell(image, args) : args
  if (stage.seen.cmd === undefined) image.config.cmd = []
  addHistory(image, `ENTRYPOINT ${formatQuotedList(image.config.entrypoint)}`, false, epoch)
}
