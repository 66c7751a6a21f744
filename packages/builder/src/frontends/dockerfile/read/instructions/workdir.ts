import { cutWhole, requireOneArgument } from '../arguments.ts'
import type { WorkdirInstruction } from '../ast.ts'
import { readFlags } from '../flags.ts'
import type { InstructionSyntax } from '../syntax.ts'

export const workdirSyntax: InstructionSyntax<WorkdirInstruction> = {
  keyword: 'workdir',
  cut: cutWhole,
  parse(raw) {
    const path = requireOneArgument(raw, 'WORKDIR')
    readFlags(raw.flags, {})
    return { ...raw, kind: 'workdir', path }
  },
}
