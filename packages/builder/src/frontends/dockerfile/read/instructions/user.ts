import { cutWhole, requireOneArgument } from '../arguments.ts'
import type { UserInstruction } from '../ast.ts'
import { readFlags } from '../flags.ts'
import type { InstructionSyntax } from '../syntax.ts'

export const userSyntax: InstructionSyntax<UserInstruction> = {
  keyword: 'user',
  cut: cutWhole,
  parse(raw) {
    const user = requireOneArgument(raw, 'USER')
    readFlags(raw.flags, {})
    return { ...raw, kind: 'user', user }
  },
}
