import { defineCommand } from '../../define-command.ts'
import { debugParse } from '../../flags.ts'
import { answerLines } from '../../json-lines.ts'

export const DebugParseCommand = defineCommand(debugParse, async (_input, io) => {
  const library = await import('@ts-oci/builder')
  return answerLines(io, library.debugParse)
})
