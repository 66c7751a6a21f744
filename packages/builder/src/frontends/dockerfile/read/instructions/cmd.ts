import { cutCommand, readCommandLine } from '../arguments.ts'
import type { CmdInstruction } from '../ast.ts'
import { readFlags } from '../flags.ts'
import type { InstructionSyntax } from '../syntax.ts'

export const cmdSyntax: InstructionSyntax<CmdInstruction> = {
  keyword: 'cmd',
  cut: cutCommand,
  parse(raw) {
    readFlags(raw.flags, {})
    return { ...raw, kind: 'cmd', command: readCommandLine(raw) }
  },
}
