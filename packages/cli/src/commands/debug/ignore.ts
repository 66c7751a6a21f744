import { defineCommand } from '../../define-command.ts'
import { debugIgnore } from '../../flags.ts'
import { answerLines } from '../../json-lines.ts'

export const DebugIgnoreCommand = defineCommand(debugIgnore, async (_input, io) => {
  const library = await import('@ts-oci/builder')
  return answerLines(io, library.debugIgnore)
})
