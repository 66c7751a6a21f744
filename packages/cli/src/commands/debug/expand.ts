import { defineCommand } from '../../define-command.ts'
import { debugExpand } from '../../flags.ts'
import { answerLines } from '../../json-lines.ts'

export const DebugExpandCommand = defineCommand(debugExpand, async (_input, io) => {
  const library = await import('@ts-oci/builder')
  return answerLines(io, library.debugExpand)
})
