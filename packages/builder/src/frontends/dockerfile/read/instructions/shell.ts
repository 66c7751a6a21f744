import { atLeastOneArgument, cutCommand } from '../arguments.ts'
import type { ShellInstruction } from '../ast.ts'
import { Complaint } from '../../expand/complaint.ts'
import { readFlags } from '../flags.ts'
import type { InstructionSyntax } from '../syntax.ts'

export const shellSyntax: InstructionSyntax<ShellInstruction> = {
  keyword: 'shell',
  cut: cutCommand,
  parse(raw) {
    readFlags(raw.flags, {})
    if (raw.args.length === 0) throw atLeastOneArgument('SHELL')
    if (!raw.json) throw new Complaint('SHELL requires the arguments to be in JSON form')
    return { ...raw, kind: 'shell', shell: raw.args }
  },
}
